"""Tables in all formats: one reader and one writer for CSV, TSV, Excel workbooks, JSON Lines and Parquet.

`formats` chooses the module by the suffix of a file. A reader returns a `Table`, whose cells are JSON values or text; a
writer takes columns and records of such cells, and what it writes is read back unchanged.
"""
