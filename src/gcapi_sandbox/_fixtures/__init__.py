"""The contents of a new sandbox: the seed file, and the objects that the API cannot create.

Objects that the API can create are created in `gcapi_sandbox._resources`.
"""
