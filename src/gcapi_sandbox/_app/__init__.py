"""The ASGI applications: the two origins with their server, fault injection, the request log and the pages.

The operations of the API belong in `gcapi_sandbox._resources`.
"""
