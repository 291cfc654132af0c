"""The contents of a new sandbox: the seed file, and objects that the API cannot create.

Everything that the API can create is created in `gcapi_sandbox._resources`.
"""
