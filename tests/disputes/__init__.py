"""Tests of disputes and of the documents of cases."""
