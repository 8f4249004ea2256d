"""Shuqiao (数桥): departments of a city share information lawfully, quickly and provably."""
