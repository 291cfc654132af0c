"""The operations of the API, one module for each area.

Socket values belong in `gcapi_sandbox._socket_values`, work that outlives a request in `gcapi_sandbox._background`.
"""
