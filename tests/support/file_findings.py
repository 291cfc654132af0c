"""Small files that are no images, each with the finding that is right for the kind of its socket."""

from __future__ import annotations

import gzip
import io
import zipfile

from tests.support.data import BINARY_FILES, TEXTS

PNG, PDF = BINARY_FILES["Thumbnail png"], BINARY_FILES["PDF file"]
NO_TREE = "error: it is no Newick tree, which ends with a semicolon and closes every parenthesis"


def zipped() -> bytes:
    """Return a ZIP archive of one file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "text " * 100)
    return content.getvalue()


def another(kind: str, format_name: str = "") -> str:
    """Return the finding about a file of another format than a kind's."""
    found = f": it begins like {format_name}" if format_name else ""
    return f"error: the content is not that of a {kind}{found}"


#: A kind, the content of a file, and what is found.
FILES: dict[str, tuple[str, bytes, str]] = {
    "CSV": ("CSV file", TEXTS["CSV file"].encode(), ""),
    "CSV with a byte order mark": ("CSV file", b"\xef\xbb\xbfa;b\n", ""),
    "CSV that is cut within a character": ("CSV file", b"x" * 4095 + "ü".encode(), ""),
    "CSV in Latin-1": ("CSV file", b"name\nM\xfcller\n", "warning: the text is not UTF-8"),
    "CSV in UTF-16": ("CSV file", "a;b\n".encode("utf-16"), "warning: the text is UTF-16"),
    "CSV of one field": ("CSV file", b"1", ""),
    "empty CSV": ("CSV file", b"", "error: the file is empty"),
    "NUL bytes for CSV": ("CSV file", b"a;b\n\0\0\0", another("CSV file")),
    "gzip for CSV": ("CSV file", gzip.compress(b"a;b"), another("CSV file", "gzip")),
    "Excel for CSV": ("CSV file", zipped(), another("CSV file", "ZIP")),
    "PNG for CSV": ("CSV file", PNG, another("CSV file", "PNG")),
    "OBJ": ("OBJ file", TEXTS["OBJ file"].encode(), ""),
    "PDF for OBJ": ("OBJ file", PDF, another("OBJ file", "PDF")),
    "Newick": ("Newick tree-format file", TEXTS["Newick tree-format file"].encode(), ""),
    "Newick with quotes": ("Newick tree-format file", b"('a(',b[(]);\n", ""),
    "Newick without an end": ("Newick tree-format file", b"(A,B)", NO_TREE),
    "Newick that is cut": ("Newick tree-format file", b"((A,B);", NO_TREE),
    "JPEG for Newick": (
        "Newick tree-format file",
        BINARY_FILES["Thumbnail jpg"],
        another("Newick tree-format file", "JPEG"),
    ),
    **{kind: (kind, content, "") for kind, content in BINARY_FILES.items()},
    **{f"empty {kind}": (kind, b"", "error: the file is empty") for kind in BINARY_FILES},
    "PDF after a greeting": ("PDF file", b"\n" * 1000 + PDF, ""),
    "text for PDF": ("PDF file", b"Dear colleague", another("PDF file")),
    "PNG for JPEG": ("Thumbnail jpg", PNG, another("Thumbnail jpg", "PNG")),
    "text for MP4": ("MP4 file", b"no film", another("MP4 file")),
    "QuickTime for MP4": ("MP4 file", b"\0\0\0\x14moov", ""),
    "JSON for BIOM": ("BIOM format", b"{}", another("BIOM format")),
    "ZIP": ("ZIP file", zipped(), ""),
    "self-extracting ZIP": ("ZIP file", b"MZ" + bytes(500) + zipped(), ""),
    "ZIP that is cut": ("ZIP file", zipped()[:-30], another("ZIP file", "ZIP")),
    "gzip for ZIP": ("ZIP file", gzip.compress(b"x"), another("ZIP file", "gzip")),
    "anything for SQREG": ("SQREG file", b"\0\1\2", ""),
    "JSON": ("Anything", b"[1]", ""),
    "empty JSON": ("Anything", b"", "error: the file is empty"),
    "half of a JSON": ("Anything", b"[1,", "error: it is not valid JSON: Expecting value: line 1"),
    "PNG for JSON": ("Anything", PNG, "error: it is not valid JSON: it is not UTF-8 text"),
    "JSON of another shape": ("Float", b"[1]", "error: the value must be a number, not [1]"),
}
