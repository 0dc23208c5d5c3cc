"""Language models behind names and roles: which server answers, in which order, and bytes passed through."""
