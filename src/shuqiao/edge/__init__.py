"""A department's front-end node: reads its tables and keeps every batch until the hub has it."""
