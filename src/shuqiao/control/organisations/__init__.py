"""Bodies that take part, their duties, persons in charge and applications."""
