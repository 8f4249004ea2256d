"""Migrations of `clocks`."""
