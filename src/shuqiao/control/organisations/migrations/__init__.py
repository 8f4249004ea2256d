"""Migrations of `organisations`."""
