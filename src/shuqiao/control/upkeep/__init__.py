"""The duties to keep the catalogue true."""
