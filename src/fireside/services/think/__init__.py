"""The think service: understands a question before anything is looked up."""
