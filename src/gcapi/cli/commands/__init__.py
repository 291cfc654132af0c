"""The commands of `gcapi`, one module for each command or group.

A command parses its options, calls the library and prints; anything else belongs in the library.
"""
