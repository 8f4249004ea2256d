"""Asking for information and answering within the legal time."""
