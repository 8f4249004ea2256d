"""One datum, one source: the rules, the register, planned collections, and what is already available."""
