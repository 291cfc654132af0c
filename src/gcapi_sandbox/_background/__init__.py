"""Background tasks: imports of images and files, algorithm jobs, and periodic clean-up.

What happens while a request waits for its response belongs in `gcapi_sandbox._resources`.
"""
