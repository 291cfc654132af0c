"""Transfers: multipart uploads, ranged downloads, and files that appear complete or not at all.

Code that decides which files a case or a job needs belongs in `gcapi._workflows`.
"""
