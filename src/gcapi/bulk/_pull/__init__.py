"""Pulling: cases of a source become folders, a manifest and an index.

This package decides what to download and where it goes; `gcapi._transfer` downloads it.
"""
