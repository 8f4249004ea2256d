"""Base data: one table per list, and the contract schema the plane and the loader work through."""
