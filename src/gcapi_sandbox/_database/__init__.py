"""Records in SQLite, and the state that all parts of a sandbox share.

It knows nothing of HTTP.
"""
