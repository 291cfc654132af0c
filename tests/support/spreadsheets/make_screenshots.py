"""Make the pictures of a workbook in the documentation: run it by hand, with `soffice` and `pdftoppm` on the path."""

from __future__ import annotations

import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi.bulk import Row
from gcapi.bulk.manifest import write_input_workbook
from gcapi.models import ComponentInterface

TARGET = Path(__file__).parents[3] / "docs" / "images"
SOCKETS = {
    "ct": ("Image", "CT", "A CT of the thorax with contrast"),
    "lesion-found": ("Bool", "Lesion found", "Whether a radiologist saw a lesion"),
    "lung-volume": ("Float", "Lung volume", "Volume of both lungs in litres"),
    "report": ("String", "Report", "Findings, without names"),
}
ROWS = [
    ("P001", "P001/ct.mha", "TRUE", "4.35", "A nodule of 8 mm, left"),
    ("P002", "P002/ct.mha", "FALSE", "5.1", "No finding"),
    ("P003", "P003/ct.mha", "TRUE", "3.875", "Größe unverändert"),
]


def write_example(path: Path) -> None:
    """Write the workbook of `gcapi manifest init --xlsx` for made-up cases, to be printed as it looks on a screen."""
    sockets = {
        slug: ComponentInterface.from_dict(
            {"pk": 1, "slug": slug, "kind": kind, "super_kind": kind, "title": title}
            | {"default_value": None, "description": description, "look_up_table": None}
            | {"overlay_segments": None, "relative_path": slug}
        )
        for slug, (kind, title, description) in SOCKETS.items()
    }
    rows = [Row(0, title, None, dict(zip(SOCKETS, cells, strict=True))) for title, *cells in ROWS]
    write_input_workbook(path, rows, sockets)
    book: Any = import_module("openpyxl").load_workbook(path)
    for sheet in book:
        sheet.print_options.gridLines = sheet.print_options.headings = True
        sheet.page_setup.orientation = "landscape"
        sheet.page_setup.fitToHeight = 0
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        sheet.oddFooter.center.text = sheet.oddHeader.center.text = ""
    book.save(path)


def main() -> None:
    """Make a picture of each sheet."""
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "manifest.xlsx"
        write_example(book)
        command = ["soffice", "--headless", f"-env:UserInstallation=file://{folder}/profile"]
        subprocess.run([*command, "--convert-to", "pdf", "--outdir", folder, str(book)], check=True)
        for page, (name, width, height) in enumerate(
            (("cases", 825, 120), ("columns", 1060, 208)), start=1
        ):
            picture = TARGET / f"manifest-workbook-{name}"
            area = ["-x", "70", "-y", "105", "-W", str(width), "-H", str(height)]
            numbers = ["-singlefile", "-r", "110", "-f", str(page)]
            subprocess.run(
                ["pdftoppm", "-png", *numbers, *area, str(book.with_suffix(".pdf")), str(picture)],
                check=True,
            )


if __name__ == "__main__":
    main()
