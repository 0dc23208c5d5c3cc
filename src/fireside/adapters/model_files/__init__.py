"""Where model files lie."""
