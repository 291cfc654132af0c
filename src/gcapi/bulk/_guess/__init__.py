"""Guessing a manifest: the files of a folder, the values that they make, the cases, the columns and the cells.

This package reads a folder and names what is in it; what is wrong with its files, `gcapi._inspect` finds.
"""
