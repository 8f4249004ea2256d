"""What all tests share; the servers are in `tests/plugins/server.py`."""
