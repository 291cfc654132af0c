"""Plain HTTP requests to a sandbox, independent of the client under test."""

from __future__ import annotations

import io
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox import Sandbox

#: Timeout of all waits, in seconds.
DEADLINE = 60


class Web:
    """A user of a sandbox with a plain HTTP client, and shortcuts for common requests."""

    def __init__(self, sandbox: Sandbox, token: str | None = None) -> None:
        self.sandbox = sandbox
        headers = {"Authorization": f"Bearer {token or sandbox.token}"}
        self.api = httpx.Client(base_url=sandbox.base_url, headers=headers)
        self.storage = httpx.Client()

    def close(self) -> None:
        """Close both connection pools."""
        self.api.close()
        self.storage.close()

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON of a successful GET."""
        reply = self.api.get(path, params=params or None)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON of a successful POST."""
        reply = self.api.post(path, json=body)
        assert reply.status_code == 201, reply.text
        return reply.json()

    def create_upload(self, filename: str = "a.bin") -> tuple[dict[str, Any], str]:
        """Create an upload, and return it with the path of its operations."""
        upload = self.post("uploads/", {"filename": filename})
        return upload, f"uploads/{upload['pk']}/{upload['s3_upload_id']}/"

    def presign(self, path: str, *numbers: int) -> dict[str, str]:
        """Return presigned URLs by part number."""
        reply = self.api.patch(f"{path}generate-presigned-urls/", json={"part_numbers": numbers})
        assert reply.status_code == 200, reply.text
        return reply.json()["presigned_urls"]

    def put(self, url: str, data: bytes) -> str:
        """Upload a part and return its ETag."""
        reply = self.storage.put(url, content=data)
        assert reply.status_code == 200, reply.text
        return reply.headers["ETag"]

    def complete(self, path: str, *parts: tuple[int, str]) -> httpx.Response:
        """Complete an upload with part numbers and ETags."""
        body = {"parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
        return self.api.patch(f"{path}complete-multipart-upload/", json=body)

    def upload(self, filename: str, data: bytes = b"data") -> str:
        """Upload a small file and return its URL."""
        upload, path = self.create_upload(filename)
        etag = self.put(self.presign(path, 1)["1"], data)
        assert self.complete(path, (1, etag)).status_code == 200
        return upload["api_url"]

    def archive(self, slug: str) -> dict[str, Any]:
        """Return an archive, created if there is none."""
        found = self.get("archives/", slug=slug)["results"]
        if not found:
            self.sandbox.add_archive(slug, slug=slug)
            found = self.get("archives/", slug=slug)["results"]
        return found[0]

    def item(self, slug: str = "cases", title: str = "") -> str:
        """Create an archive item and return its path."""
        body = {"archive": self.archive(slug)["api_url"], "title": title}
        return f"archives/items/{self.post('archives/items/', body)['pk']}/"

    def patch(self, path: str, *values: dict[str, Any]) -> httpx.Response:
        """Set values of a case."""
        return self.api.patch(path, json={"values": values})

    def values(self, path: str) -> dict[str, Any]:
        """Return the values of a case by socket, after all background tasks."""
        self.sandbox.wait_idle()
        return {value["interface"]["slug"]: value for value in self.get(path)["values"]}

    def image(self, socket: str = "picture", filename: str = "scan.mha") -> dict[str, Any]:
        """Return a new image in a new archive item."""
        path = self.item()
        upload = self.upload(filename, image_bytes())
        assert self.patch(path, {"interface": socket, "user_uploads": [upload]}).is_success
        return self.get(self.values(path)[socket]["image"])


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Return whether a process is running; a zombie is not."""
    command = ["ps", "-o", "state=", "-p", str(pid)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] not in ("", "Z")


def image_bytes(size: tuple[int, ...] = (4, 3, 2), value: int = 0, suffix: str = ".mha") -> bytes:
    """Return an image file with a constant value."""
    import SimpleITK as sitk  # noqa: N813  # the usual alias

    image = sitk.Image(list(size), sitk.sitkUInt8) + value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image{suffix}"
        sitk.WriteImage(image, str(path))
        return path.read_bytes()


def dicom_bytes(number: int = 1, **tags: str) -> bytes:
    """Return an instance of a DICOM series; keywords change its tags."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.1.{number}"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    dataset.Modality, dataset.PatientID, dataset.StudyDate = "CT", "p", "20200102"
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = (
        [0, 0, number],
        [1, 0, 0, 0, 1, 0],
    )
    dataset.PixelSpacing = [1, 1]
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = bytes(32)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()
