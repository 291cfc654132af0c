"""The steps of guessing a manifest: the files of a folder, the values they make, the cases, and the columns."""
