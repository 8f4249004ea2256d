"""Compiling from a table: the structure that a node has read becomes a draft entry full of marked guesses."""
