"""What use of shared information stands out, and what those responsible make of it."""
