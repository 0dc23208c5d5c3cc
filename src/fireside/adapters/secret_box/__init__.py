"""Ciphers and key files: AES-256-GCM envelopes whose keys lie in a file of the data folder."""
