"""The city's standards: data elements, code lists, formats."""
