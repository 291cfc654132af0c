"""Make the files in this folder with LibreOffice: run it by hand, with `soffice` on the path."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi.bulk import Row, write_manifest

FOLDER = Path(__file__).parent
#: The titles, and the cells of the columns text, flag, number and json, that every file has.
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("قضية ١", {"text": "病例，一", "flag": "TRUE", "number": "0.5", "json": '{"ü": [1, "=1"]}'}),
    ('with "quotes"; and, signs', {"text": "two\nlines", "flag": "FALSE", "number": "-7.25"}),
    ("=1+1", {"text": "'=1", "number": "1200"}),
    ("@name", {"text": "-a", "number": "0.0001", "json": "[]"}),
]
_CSV = "Text - txt - csv (StarCalc):{separator},34,76,1"
_XLSX = "Calc MS Excel 2007 XML"


def convert(source: Path, target: Path, form: str, **options: str) -> None:
    """Open a file in LibreOffice, and save it in another form."""
    with tempfile.TemporaryDirectory() as folder:
        reading = [f"--infilter={options['reading']}"] if options else []
        command = ["soffice", "--headless", f"-env:UserInstallation=file://{folder}/profile"]
        form = f"{target.suffix[1:]}:{form}"
        command += [*reading, "--convert-to", form, "--outdir", folder, str(source)]
        subprocess.run(command, check=True)
        shutil.copy(Path(folder) / source.with_suffix(target.suffix).name, target)


def calculated(path: Path) -> None:
    """Write a workbook of formulas, booleans, dates and a hidden sheet, without values of the formulas."""
    book: Any = import_module("openpyxl").Workbook()
    hidden, cases = book.active, book.create_sheet("Cases")
    hidden.title, hidden.sheet_state = "Lists", "hidden"
    hidden.append(["title", "number"])
    book.active = 1
    cases.append(["title", "flag", "number", "text"])
    cases.append(["one", True, 0.1, "2024-05-01"])
    cases.append(['=A2&" more"', "=NOT(B2)", "=C2*3", '=TEXT(DATE(2024,5,1),"yyyy-mm-dd")'])
    book.save(path)


def main() -> None:
    """Make all files."""
    rows = [Row(0, title, None, cells) for title, cells in ROWS]
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "ours.xlsx"
        write_manifest(ours, rows)
        convert(ours, FOLDER / "libreoffice.xlsx", _XLSX)
        write_manifest(ours.with_suffix(".csv"), rows)
        reading = {"reading": _CSV.format(separator=44)}
        for name, separator in (("commas", 44), ("semicolons", 59), ("tabs", 9)):
            form = _CSV.format(separator=separator)
            convert(ours.with_suffix(".csv"), FOLDER / f"libreoffice-{name}.csv", form, **reading)
        convert(ours.with_suffix(".csv"), FOLDER / "libreoffice-from-csv.xlsx", _XLSX, **reading)
        formulas = Path(folder) / "formulas.xlsx"
        calculated(formulas)
        convert(formulas, FOLDER / "libreoffice-formulas.xlsx", _XLSX)


if __name__ == "__main__":
    main()
