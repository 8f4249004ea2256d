"""What the regulations mean: pure decisions on the standard library, without clock, database or network."""
