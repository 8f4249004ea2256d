"""A signed folder with all that a node needs, for networks without a registry of packages."""
