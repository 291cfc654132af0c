"""The kinds of sockets and questions, and validation of their values.

Pure functions and tables; storage belongs elsewhere.
"""
