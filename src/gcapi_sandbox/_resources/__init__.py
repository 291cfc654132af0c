"""The operations of the API, one module for each area.

Work that outlives a request belongs in `gcapi_sandbox._background`.
"""
