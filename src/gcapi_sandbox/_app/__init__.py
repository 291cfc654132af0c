"""The two origins, the server that runs them, fault injection, the request log and the pages.

The operations of the API belong in `gcapi_sandbox._resources`.
"""
