"""Migrations of `requests`."""
