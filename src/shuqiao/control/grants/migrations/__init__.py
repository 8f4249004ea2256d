"""Migrations of `grants`."""
