"""Contracts between processes: what travels, in which form, and how it is checked."""
