"""Moving windows: one module a technology."""
