"""The cases that a guess finds in folders of different layouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gcapi.bulk import guess_manifest
from tests.support.folders import ANALYZE, NRRD, dicom, metaimage, write_tree

IMAGE = metaimage()
PNG = b"\x89PNG\r\n\x1a\n"
Tree = dict[str, bytes | str]


@dataclass(frozen=True)
class Layout:
    """A folder and the rows that are right for it.

    Attributes:
        files: The content of each file.
        rows: The cells by the titles of the rows.
        left_out: The files that are in no row.
    """

    files: Tree
    rows: dict[str, dict[str, Any]]
    left_out: tuple[str, ...] = ()


def slices(folder: str, names: str, series: str = "1.2.3", study: str = "1.2") -> Tree:
    """Return the files of a series."""
    return {f"{folder}{name}": dicom(series, study) for name in names.split()}


LAYOUTS = {
    "series by UID, .IMA and without suffix": Layout(
        slices("a/", "1.2.840.1 1.2.840.2") | slices("b/", "X.IMA Y.IMA") | slices("c/", "IM1 IM2"),
        {"a": {"dicom": "a"}, "b": {"dicom": "b"}, "c": {"dicom": "c"}},
    ),
    "one series flat": Layout(slices("", "IM1 IM2"), {"root": {"dicom": "IM1;IM2"}}),
    "a long series flat": Layout(
        slices("", " ".join(f"IM{number}.dcm" for number in range(9))) | {"notes.txt": "x"},
        {"root": {"dicom": "IM*.dcm"}},
        ("notes.txt",),
    ),
    "several series flat": Layout(
        slices("", "IM1 IM3", "1.2.3") | slices("", "IM2 IM4", "1.2.4"),
        {"root-1": {"dicom": "IM1;IM3"}, "root-2": {"dicom": "IM2;IM4"}},
    ),
    "single slices flat": Layout(
        slices("", "p1.dcm", "1.2.3") | slices("", "p2.dcm", "1.2.4"),
        {"p1": {"dicom": "p1.dcm"}, "p2": {"dicom": "p2.dcm"}},
    ),
    "several series in the folder of a case": Layout(
        slices("p1/", "IM1 IM3", "1.2.3") | slices("p1/", "IM2 IM4", "1.2.4"),
        {"p1": {"dicom": "p1/IM1;p1/IM3", "dicom-2": "p1/IM2;p1/IM4"}},
    ),
    "one series in two folders": Layout(
        slices("p1/a/", "IM1 IM2") | slices("p1/b/", "IM3 IM4"), {"p1": {"dicom": "p1/a;p1/b"}}
    ),
    "a folder for each series": Layout(
        slices("p1/CT/", "1 2", "1.1")
        | slices("p1/MR/", "1 2", "1.2")
        | slices("p2/CT/", "1 2", "1.3")
        | slices("p2/MR/", "1 2", "1.4"),
        {"p1": {"ct": "p1/CT", "mr": "p1/MR"}, "p2": {"ct": "p2/CT", "mr": "p2/MR"}},
    ),
    "patients in a batch": Layout(
        slices("batch/P1/", "1 2", "1.1", "9.1") | slices("batch/P2/", "1 2", "1.2", "9.2"),
        {"P1": {"dicom": "batch/P1"}, "P2": {"dicom": "batch/P2"}},
    ),
    "a DICOMDIR beside series": Layout(
        slices("a/", "1 2") | {"DICOMDIR": dicom(is_directory=True)},
        {"a": {"dicom": "a"}},
        ("DICOMDIR",),
    ),
    "headers with data files": Layout(
        {
            "m.mhd": metaimage("other.bin"),
            "other.bin": "abcd",
            "l.mhd": metaimage("LIST\nl2.raw\nl1.raw"),
            "l1.raw": "ab",
            "l2.raw": "cd",
            "n.mhd": metaimage("n%02d.raw 1 2 1"),
            "n01.raw": "ab",
            "n02.raw": "cd",
            "d.nhdr": f"{NRRD}data file: d.raw.gz\n",
            "d.raw.gz": "x",
            "a.hdr": ANALYZE,
            "a.img": "abcd",
            "lonely.raw": "x",
            "lonely.img": "x",
        },
        {
            "a": {"image": "a.hdr;a.img"},
            "d": {"image": "d.nhdr;d.raw.gz"},
            "l": {"image": "l.mhd;l2.raw;l1.raw"},
            "m": {"image": "m.mhd;other.bin"},
            "n": {"image": "n.mhd;n01.raw;n02.raw"},
        },
        ("lonely.img", "lonely.raw"),
    ),
    "nested case folders": Layout(
        {f"batch {number // 2}/P{number}/scan.mha": IMAGE for number in range(4)},
        {f"P{number}": {"image": f"batch {number // 2}/P{number}/scan.mha"} for number in range(4)},
    ),
    "nested case folders of one name": Layout(
        {"a/P1/x.mha": IMAGE, "a/P2/x.mha": IMAGE, "b/deep/P1/x.mha": IMAGE},
        {
            "a-P1": {"image": "a/P1/x.mha"},
            "P2": {"image": "a/P2/x.mha"},
            "b-deep-P1": {"image": "b/deep/P1/x.mha"},
        },
    ),
    "BIDS": Layout(
        {f"sub-0{n}/anat/sub-0{n}_{part}.mha": IMAGE for n in (1, 2) for part in ("T1w", "T2w")}
        | {"dataset_description.json": "{}", "participants.tsv": "x"},
        {
            f"sub-0{n}": {
                "t1w": f"sub-0{n}/anat/sub-0{n}_T1w.mha",
                "t2w": f"sub-0{n}/anat/sub-0{n}_T2w.mha",
            }
            for n in (1, 2)
        },
        ("dataset_description.json", "participants.tsv"),
    ),
    "BIDS with one subject": Layout(
        {f"sub-01/{folder}/sub-01_{folder}.mha": IMAGE for folder in ("anat", "func")},
        {
            "sub-01": {
                "image": "sub-01/anat/sub-01_anat.mha",
                "image-2": "sub-01/func/sub-01_func.mha",
            }
        },
    ),
    "nnU-Net": Layout(
        {
            f"imagesTr/c_{case}_000{channel}.mha": IMAGE
            for case in ("001", "002")
            for channel in (0, 1)
        }
        | {f"labelsTr/c_{case}.mha": IMAGE for case in ("001", "002")}
        | {"imagesTs/c_003_0000.mha": IMAGE, "dataset.json": "{}"},
        {
            f"c_{case}": {
                "image": f"imagesTr/c_{case}_0000.mha",
                "0001": f"imagesTr/c_{case}_0001.mha",
                "segmentation": f"labelsTr/c_{case}.mha",
            }
            for case in ("001", "002")
        }
        | {"c_003": {"image": "imagesTs/c_003_0000.mha"}},
        ("dataset.json",),
    ),
    "images and masks in the folder of a case": Layout(
        {f"p{n}/{part}/{part}.mha": IMAGE for n in (1, 2) for part in ("images", "masks")},
        {
            f"p{n}": {"image": f"p{n}/images/images.mha", "segmentation": f"p{n}/masks/masks.mha"}
            for n in (1, 2)
        },
    ),
    "flat with segmentations": Layout(
        {
            "p1.mha": IMAGE,
            "p1_seg.mha": IMAGE,
            "p1.json": "{}",
            "p2.mha": IMAGE,
            "q_seg.mha": IMAGE,
        },
        {
            "p1": {"image": "p1.mha", "segmentation": "p1_seg.mha", "json": "p1.json"},
            "p2": {"image": "p2.mha"},
            "q_seg": {"image": "q_seg.mha"},
        },
    ),
    "files beside folders": Layout(
        {
            "p1/scan.mha": IMAGE,
            "p1.json": "{}",
            "p2.mha": IMAGE,
            "notes.pdf": "%PDF-1.7",
            "docs/readme.pdf": "%PDF-1.7",
        },
        {"p1": {"image": "p1/scan.mha", "json": "p1.json"}, "p2": {"image": "p2.mha"}},
        ("docs/readme.pdf", "notes.pdf"),
    ),
    "names with separators": Layout(
        {"a;b.mhd": metaimage("a;b.raw"), "a;b.raw": "abcd"},
        {"a;b": {"image": ["a;b.mhd", "a;b.raw"]}},
    ),
    "no images at all": Layout(
        {"p1/a.json": "{}", "p2/a.json": "{}"},
        {"p1": {"json": "p1/a.json"}, "p2": {"json": "p2/a.json"}},
    ),
    "content rather than suffix": Layout(
        {"p1.dcm": PNG, "p2.mha": dicom(), "p3": PNG, "p4.mha": "%PDF-1.7", "p5.mha": "truncated"},
        {
            "p1": {"image": "p1.dcm"},
            "p2": {"dicom": "p2.mha"},
            "p3": {"image": "p3"},
            "p5": {"image": "p5.mha"},
        },
        ("p4.mha",),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str, tmp_path: Path) -> None:
    """A folder of each layout gives the rows that a person would write."""
    layout = LAYOUTS[name]
    guessed = guess_manifest(write_tree(tmp_path / "root", layout.files))
    assert {row.title: dict(row.cells) for row in guessed.rows} == layout.rows
    assert tuple(entry.path for entry in guessed.left_out) == layout.left_out
