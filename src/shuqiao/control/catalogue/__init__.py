"""What information exists, who answers for it, and how to find it."""
