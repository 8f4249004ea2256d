"""Tests of who opens an entry to the public, through the whole procedure of each city."""
