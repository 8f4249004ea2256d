"""Tests of what is given to other systems and to the public."""
