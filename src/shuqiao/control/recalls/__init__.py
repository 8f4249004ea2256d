"""Copies called back when their grant has ended, and the holders' receipts that they were deleted."""
