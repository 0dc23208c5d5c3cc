"""The respond service: makes the answer from the evidence, cites it and checks it."""
