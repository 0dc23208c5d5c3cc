"""The services. They know each other only through `fireside.contracts`."""
