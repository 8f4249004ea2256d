"""Renewing shared data: changes with their due dates, exceptions, deliveries by cycle, word to recipients."""
