"""The audit log: every use and every decision, durable before it takes effect."""
