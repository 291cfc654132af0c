"""Helpers for JSON values and for dataclasses that are parsed from user input.

Nothing here knows Grand Challenge or any other package of the sandbox.
"""
