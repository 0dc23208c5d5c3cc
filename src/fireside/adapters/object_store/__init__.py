"""Where objects lie: a folder of this machine."""
