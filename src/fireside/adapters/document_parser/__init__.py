"""Readers of files: Markdown, text, HTML, PDF, Office documents and tables, each file in a process of limited means."""
