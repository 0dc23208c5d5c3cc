"""The act service: gathers the evidence that an analysed question needs."""
