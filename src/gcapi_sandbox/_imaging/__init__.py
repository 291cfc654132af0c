"""Images: import, DICOM image sets and thumbnails.

When these run is decided in `gcapi_sandbox._background` and `gcapi_sandbox._resources`.
"""
