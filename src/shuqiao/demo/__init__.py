"""The sample city: invented people, families and enterprises with well-formed numbers."""
