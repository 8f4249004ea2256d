"""Migrations of `catalogue`."""
