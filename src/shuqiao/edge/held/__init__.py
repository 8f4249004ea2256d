"""Answering calls on data that stay with the department."""
