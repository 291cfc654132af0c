"""The kinds of sockets, the types of answers, and the rules for their values, as tables and pure functions.

Nothing here reads or writes the database, or knows HTTP.
"""
