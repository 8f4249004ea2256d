"""The office's work: catalogue, requests, grants and the pages around them (Django, sync)."""
