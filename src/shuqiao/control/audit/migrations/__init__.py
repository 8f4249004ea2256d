"""Database steps of the audit log."""
