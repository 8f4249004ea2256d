"""Copies and browsing on the pages: a clerk's way to what a bulk grant gives."""
