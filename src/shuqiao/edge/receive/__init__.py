"""Receiving: subscriptions applied to the department's own database, each effect exactly once."""
