"""What calls of models used: stored, summed and shown."""
