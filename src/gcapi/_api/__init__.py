"""One call of the API: operations, errors, pagination, quotas and lost writes.

File contents belong in `gcapi._transfer`, and sequences of calls in `gcapi._workflows`.
"""
