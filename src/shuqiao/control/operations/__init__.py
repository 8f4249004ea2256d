"""Seeding a city, periodic jobs and the task lists that join the other parts."""
