"""Who is who: the one process that knows which person or body a record is about.

Source: guangzhou-2016 art. 38(2).
"""
