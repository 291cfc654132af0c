"""API requests: routing, bodies, fields, filters, pagination, authentication and permissions.

What an operation does belongs in `gcapi_sandbox._resources`.
"""
