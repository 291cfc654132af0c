"""Records in SQLite: dataclasses as tables, and a store with transactions.

Nothing here knows HTTP or files outside the database.
"""
