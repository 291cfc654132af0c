"""Work in the background: imports, algorithm jobs, housekeeping.

Answers to requests belong in `gcapi_sandbox._resources`.
"""
