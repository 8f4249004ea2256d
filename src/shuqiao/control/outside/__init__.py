"""Outside the ordinary request: information that no catalogue names, and passing on what was obtained.

Source: guangzhou-2016 art. 36; xiamen-2015 art. 7; shenyang-2016 art. 19, 23(1).
"""
