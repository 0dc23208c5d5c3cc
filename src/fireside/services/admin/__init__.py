"""The configuration of all nodes: shown, changed while they run, kept as a history that can be rolled back."""
