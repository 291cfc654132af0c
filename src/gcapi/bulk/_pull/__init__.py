"""Pull: from the cases of a source to folders and a manifest.

Transfers are in `gcapi._transfer`; this package decides what to fetch, and where it goes.
"""
