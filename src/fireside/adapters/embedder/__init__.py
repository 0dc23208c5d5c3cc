"""Embedders: OpenVINO in this process, and servers that speak OpenAI's API."""
