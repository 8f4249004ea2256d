"""Clients of the platform: calls of the plane with their promises, and entries of the catalogue."""
