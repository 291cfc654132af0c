"""General helpers that know nothing of Grand Challenge: threads, polling, messages, redaction, JSON types.

Nothing here imports another package of gcapi; what needs HTTP or the API belongs in a layer above.
"""
