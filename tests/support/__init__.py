"""Helpers for tests: sample data, requests, and what tests of one area share.

Servers are in `tests.support.servers`, programs that run in a process of their own in `tests.support.programs`.
"""
