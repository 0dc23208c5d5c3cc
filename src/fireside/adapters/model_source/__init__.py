"""Where models come from, a module each."""
