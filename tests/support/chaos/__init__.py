"""Workflows under random faults, to check that nothing is lost and nothing happens twice.

The sandbox breaks requests to the API and to the object store, before, while or after they are carried out, answers
reads with what was true before, and moves its clock. Some clients run in a process of their own, which is suspended for
longer than the server keeps unused uploads. The seed decides the workflow and all faults.

    python -m tests.support.chaos [--runs N] [--first SEED] [--seed SEED]
"""
