"""Knowledge: keeps files in collections, reads them into passages, and finds the passages that answer a query."""
