"""Keys, certificates, signatures and sealing; knows nothing of the processes that use it."""
