"""Inspection of local files before they are sent: formats, headers and lengths.

Planning of requests belongs in `gcapi._workflows`; nothing here talks to a server or changes a file.
"""
