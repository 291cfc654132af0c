"""Helpers that tests share: servers, sample data, and programs that run in a process of their own."""
