"""Tests of renewing shared data."""
