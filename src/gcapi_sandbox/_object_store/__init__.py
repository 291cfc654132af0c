"""An object store like S3: stored files, presigned URLs, signed headers and conditional requests.

How images are read belongs in `gcapi_sandbox._imaging`, the endpoints of the store in `gcapi_sandbox._app`.
"""
