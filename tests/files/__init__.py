"""Files as resources: stored by control, listed and handed out by the plane."""
