"""One request: routing, bodies, fields, pagination, authentication and permissions.

What an operation does belongs in `gcapi_sandbox._resources`.
"""
