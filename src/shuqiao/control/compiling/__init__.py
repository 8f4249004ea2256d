"""Entries on their way into the catalogue."""
