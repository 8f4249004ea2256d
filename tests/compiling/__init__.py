"""Tests of the catalogue system: compiling entries."""
