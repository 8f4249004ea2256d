"""One datum, one source: claims, joint collectors, planned collections."""
