"""Departments' business systems: whether they are connected, their test, certificate and acceptance."""
