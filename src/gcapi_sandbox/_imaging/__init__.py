"""Reading of images: import, DICOM image sets and thumbnails.

The tasks that import images belong in `gcapi_sandbox._background`, the rules for images of a socket in
`gcapi_sandbox._socket_values`.
"""
