"""The catalogue given to other systems and to the public."""
