"""Programs that tests run in a process of their own.

Servers belong in `tests.support.servers`.
"""
