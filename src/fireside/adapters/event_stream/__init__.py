"""Event streams: in process, and one module a broker."""
