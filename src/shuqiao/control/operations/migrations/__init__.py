"""Migrations of `operations`."""
