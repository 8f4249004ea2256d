"""Bulk copies, feeds and browsing: the process that prepares, and what the workers hand out."""
