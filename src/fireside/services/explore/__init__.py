"""Models to discover, to install and to choose from, and who may use which."""
