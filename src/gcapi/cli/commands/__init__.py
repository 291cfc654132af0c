"""The commands of `gcapi`: one module for each command or group of commands.

A command parses its options, calls the library and prints the result; anything else belongs in the library.
"""
