"""Signed permissions: issuing, revoking, ending, using them from pages."""
