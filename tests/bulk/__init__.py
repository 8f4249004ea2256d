"""Bulk copies, feeds and browsing."""
