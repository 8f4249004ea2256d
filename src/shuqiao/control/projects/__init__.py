"""Sharing for a special task (专项) led by one department; the register of cross-department applications.

Source: guangzhou-2019 art. 16(4), 16(5); shenyang-2016 art. 8.
"""
