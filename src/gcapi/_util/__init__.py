"""General helpers that know nothing of Grand Challenge: threads, polling, messages, redaction, JSON types.

Nothing here imports another package of gcapi; what needs HTTP or the API belongs in a layer above.
"""

from gcapi._util.installation import check_installation

# Here, because everything that the published client does not have imports this package first.
check_installation()
