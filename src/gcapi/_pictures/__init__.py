"""Pictures of local images: thumbnails for the report of a check and for notebooks.

Nothing here talks to a server or changes a file.
"""
