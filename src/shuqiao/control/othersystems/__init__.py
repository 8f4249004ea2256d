"""Other exchange systems of departments: registered with a plan of moving to the platform, and its state."""
