"""What a new sandbox holds when it is started from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcapi_sandbox.sandbox import Sandbox

# title, kind, whether JSON is stored in the database
_SOCKETS = (
    ("Generic Medical Image", "Image", True),
    ("Generic Overlay", "Heat Map", True),
    ("CT Image", "Image", True),
    ("MR Image", "Image", True),
    ("X-Ray Image", "Image", True),
    ("Fundus Image", "Image", True),
    ("DICOM Image Set", "DICOM Image Set", True),
    ("Segmentation", "Segmentation", True),
    ("Thresholded Image", "Image", True),
    ("Report", "PDF file", True),
    ("Measurements", "CSV file", True),
    ("Thumbnail", "Thumbnail png", True),
    ("Lung Volume", "Float", True),
    ("Mean Intensity", "Float", True),
    ("Nodule Count", "Integer", True),
    ("Diagnosis", "String", True),
    ("Is Suspicious", "Bool", True),
    ("Lesion", "2D bounding box", True),
    ("Nodule Locations", "Multiple points", True),
    ("Findings", "Anything", False),
)
_QUESTIONS = (
    {"question_text": "What do you see?", "answer_type": "Text", "required": False},
    {
        "question_text": "How good is the image?",
        "answer_type": "Choice",
        "options": ["Good", "Usable", "Not usable"],
    },
)


def seed(sandbox: Sandbox) -> None:
    """Fill a new sandbox with sockets, an archive, a reader study and an algorithm."""
    for title, kind, store_in_database in _SOCKETS:
        sandbox.add_socket(title, kind, store_in_database=store_in_database)
    sandbox.add_archive("Demo Archive")
    sandbox.add_viewer_session()
    sandbox.add_reader_study("Demo Study", readers=["sandbox"], questions=_QUESTIONS)
    sandbox.add_algorithm(
        "Demo Algorithm",
        interfaces=[(["generic-medical-image"], ["mean-intensity", "thresholded-image"])],
        run="gcapi_sandbox.demo_algorithm:run",
    )
