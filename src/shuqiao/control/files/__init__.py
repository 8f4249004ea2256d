"""Documents and files that departments register as resources: kept in versions, given whole under a grant."""
