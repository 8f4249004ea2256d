"""Control against a real PostgreSQL."""
