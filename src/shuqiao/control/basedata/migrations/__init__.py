"""Database steps of the base data and of the contract schema."""
