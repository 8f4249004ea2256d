"""Disputes about sharing: negotiation, joint review, ruling, execution."""
