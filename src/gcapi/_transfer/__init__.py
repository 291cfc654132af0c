"""Bytes up and down: multipart uploads, ranged downloads, and files that appear whole or not at all.

What is uploaded, and why, is decided in `gcapi._workflows`.
"""
