"""Push: from the rows of a manifest to cases or jobs.

The life of one case or job is in `gcapi._workflows`; this package adds scheduling and the journal.
"""
