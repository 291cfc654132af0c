"""An object store like S3: objects, signatures and conditional requests.

It knows no model of the API.
"""
