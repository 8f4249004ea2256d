"""Compiling through an interface: a department's own system writes draft entries with signed requests."""
