"""Interfaces for departments' systems, beside the pages for people."""
