"""Web pages that show the contents of a sandbox in a browser.

The pages only read; everything that changes the sandbox belongs in `gcapi_sandbox._resources`.
"""
