"""Departments' own interfaces: their descriptions, a console to try them with samples, and how calls end."""
