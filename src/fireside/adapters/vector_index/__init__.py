"""Search indexes: Qdrant Edge in this process, and Qdrant servers. Both keep points in the same layout."""
