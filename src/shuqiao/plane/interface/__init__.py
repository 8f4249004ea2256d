"""Calls of a department's own interface, passed on through the department's node."""
