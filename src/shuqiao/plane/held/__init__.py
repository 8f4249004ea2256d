"""Calls on data that stay with a department, answered by its node."""
