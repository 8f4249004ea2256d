"""Migrations of `regulations`."""
