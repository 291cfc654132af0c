"""The life of a case and of a job: plan, check, upload, create, fill, wait.

Work on many cases at once belongs in `gcapi.bulk`, which runs these same workflows.
"""
