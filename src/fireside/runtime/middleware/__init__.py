"""What is done around every call, one module each: see `base` for what a middleware is."""
