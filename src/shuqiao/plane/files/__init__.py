"""Files registered as resources: listed and handed out under a grant."""
