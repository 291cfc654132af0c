"""Workflows under random faults, to check that nothing is lost and nothing happens twice.

A relay between a client and a sandbox breaks requests to the API and to the object store, before or after they are
carried out. The seed decides the workflow and all faults.

    python -m tests.support.chaos [--runs N] [--seed S]
"""
