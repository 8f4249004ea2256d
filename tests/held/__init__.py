"""Data that stay with a department, every part real."""
