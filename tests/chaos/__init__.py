"""Real processes killed at random moments while rows are written: source and targets are equal in the end."""
