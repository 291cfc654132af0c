"""One HTTP request: settings, URLs, TLS, connection pools, retries and bounded reading.

Nothing here knows an operation of the API; see `gcapi._api` for those.
"""
