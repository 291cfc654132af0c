"""Socket values: checked, posted, stored, attached to their case or job, and rendered.

The tables of kinds belong in `gcapi_sandbox._socket_kinds`, the operations of the API in `gcapi_sandbox._resources`.
"""
