"""PostgreSQL and NATS as child processes, for use on one machine."""
