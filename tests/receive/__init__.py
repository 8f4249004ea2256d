"""Subscriptions applied to a department's own database, through plane, process for copies and node."""
