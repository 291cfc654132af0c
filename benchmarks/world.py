"""The responses of the API and the object store, limited to those that the workloads need."""

from __future__ import annotations

import json
import re
import threading
import uuid
from dataclasses import dataclass, field
from functools import cache
from itertools import count, islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pattern
from sizes import (
    INSTANCE_SIZE,
    INSTANCES,
    ITEMS,
    LARGE,
    LARGEST_PAGE,
    offset_of,
)
from wire import Reply, Request, Stretch

if TYPE_CHECKING:
    from collections.abc import Callable

API = "/api/v1"
SIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
    f"&X-Amz-Signature={'0' * 64}"
)
_DEFAULT_PAGE = 100
_CREATED = "2025-11-01T12:00:00.000000Z"


def name(kind: str, number: int = 0) -> str:
    """Return the pk of an object, the same in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}"))


ARCHIVE = name("archive")
#: The image of one large file, and the DICOM image set.
IMAGE, IMAGE_FILE, DICOM_IMAGE = name("image"), name("image file"), name("DICOM image")
FILE_SOCKET, IMAGE_SOCKET, VALUE_SOCKET = "bench-file", "bench-image", "bench-value"
DICOM_SOCKET = "bench-dicom"
ARCHIVE_SLUG = "bench"
#: An archive that is empty at first.
CASE_ARCHIVE, CASE_ARCHIVE_SLUG = name("archive", 1), "bench-cases"
ARCHIVES = {ARCHIVE_SLUG: ARCHIVE, CASE_ARCHIVE_SLUG: CASE_ARCHIVE}
#: The objects that workloads name.
OBJECTS = {
    "archive": ARCHIVE_SLUG,
    "case_archive": CASE_ARCHIVE_SLUG,
    "value_socket": VALUE_SOCKET,
    "file_socket": FILE_SOCKET,
    "image_socket": IMAGE_SOCKET,
    "dicom_socket": DICOM_SOCKET,
    "image": IMAGE,
    "dicom_image": DICOM_IMAGE,
}


def _socket(pk: int, slug: str, kind: str, super_kind: str, relative_path: str) -> dict[str, Any]:
    return {
        "title": slug.replace("-", " ").title(),
        "description": "A socket of the benchmark.",
        "slug": slug,
        "kind": kind,
        "pk": pk,
        "default_value": None,
        "super_kind": super_kind,
        "relative_path": relative_path,
        "overlay_segments": [],
        "look_up_table": None,
    }


SOCKETS = {
    socket["slug"]: socket
    for socket in (
        _socket(1, FILE_SOCKET, "SQREG file", "File", "bench.sqreg"),
        _socket(2, IMAGE_SOCKET, "Image", "Image", "images/bench"),
        _socket(3, VALUE_SOCKET, "Float", "Value", "bench.json"),
        _socket(4, DICOM_SOCKET, "DICOM Image Set", "Image", "images/bench-dicom"),
    )
}
#: The values of a case with a file and a value.
_CASE_SOCKETS = {FILE_SOCKET, VALUE_SOCKET}
VIEW: dict[str, Any] = {
    "hanging_protocol": None,
    "optional_hanging_protocols": [],
    "view_content": {},
}


@dataclass
class Upload:
    """A multipart upload: the size and MD5 of each part."""

    pk: str
    filename: str
    s3_upload_id: str
    status: str = "Initialized"
    parts: dict[int, tuple[int, str]] = field(default_factory=dict)

    def intact(self) -> bool:
        """Return whether the content equals the pattern at the offset in its name; true of DICOM files."""
        if self.filename.endswith(".dcm"):
            return True
        offset = offset_of(self.filename)
        for _, (size, digest) in sorted(self.parts.items()):
            if pattern.md5(offset, size) != digest:
                return False
            offset += size
        return True

    def size(self) -> int:
        """Return the number of received bytes."""
        return sum(size for size, _ in self.parts.values())


class World:
    """The state of both origins.

    Args:
        api_url: The API's origin.
        store_url: The object store's origin.
    """

    def __init__(self, api_url: str, store_url: str) -> None:
        self.api_url = api_url
        self.store_url = store_url
        self._lock = threading.Lock()
        self._uploads: dict[str, Upload] = {}
        self._items: dict[str, dict[str, Any]] = {}
        self._filled = 0
        self._value_pks = count(1)
        self._titles: set[str] = set()
        self._listed = [json.dumps(self._listed_item(number)).encode() for number in range(ITEMS)]
        self._instances = json.dumps(self._recipes()).encode()

    # ------------------------------------------------------------ the two handlers

    def api(self, request: Request) -> Reply:
        """Respond to a request to the API."""
        bare = request.path.startswith("/media/") or request.path == f"{API}/gcapi/"
        if not bare and not _has_token(request):
            return _json({"detail": "Authentication credentials were not provided."}, 401)
        return _route(_API_ROUTES, self, request)

    def store(self, request: Request) -> Reply:
        """Respond to a request to the object store, which refuses tokens."""
        if _has_token(request):
            return Reply(400)
        return _route(_STORE_ROUTES, self, request)

    def count_filled(self) -> int:
        """Return the number of cases that got a file and a value since the last call."""
        with self._lock:
            filled, self._filled = self._filled, 0
        return filled

    def take_uploads(self) -> list[dict[str, Any]]:
        """Check and return the uploads since the last call."""
        with self._lock:
            uploads, self._uploads, self._items = self._uploads, {}, {}
            self._titles.clear()
        return [
            {"status": upload.status, "bytes": upload.size(), "intact": upload.intact()}
            for upload in uploads.values()
        ]

    # ------------------------------------------------------------ lists

    def version(self, _: Request) -> Reply:
        """Return the supported versions."""
        return _json({"latest_version": "0.16.1", "lowest_supported_version": "0.15.0"})

    def archives(self, request: Request) -> Reply:
        """List archives by slug."""
        return self._page([self._archive(_query(request).get("slug", ARCHIVE_SLUG))])

    def archive(self, _: Request, pk: str) -> Reply:
        """Return an archive."""
        return _json(self._archive(next(slug for slug in ARCHIVES if ARCHIVES[slug] == pk)))

    def _archive(self, slug: str) -> dict[str, Any]:
        return {
            "pk": ARCHIVES[slug],
            "title": "Benchmark",
            "logo": f"{self.api_url}/media/logos/archive/bench.png",
            "description": "",
            "api_url": self._archive_url(ARCHIVES[slug]),
            "url": f"{self.api_url}/archives/{slug}/",
        }

    def _archive_url(self, pk: str) -> str:
        return f"{self.api_url}{API}/archives/{pk}/"

    def sockets(self, request: Request) -> Reply:
        """List sockets by slug."""
        slug = _query(request).get("slug", "")
        return self._page([SOCKETS[slug]] if slug in SOCKETS else [])

    def _page(self, results: list[dict[str, Any]]) -> Reply:
        return _json({"count": len(results), "next": None, "previous": None, "results": results})

    def items(self, request: Request) -> Reply:
        """List the archive items, which are rendered in advance."""
        query = _query(request)
        limit = min(int(query.get("limit", 0)) or _DEFAULT_PAGE, LARGEST_PAGE)
        offset = int(query.get("offset", 0))
        if query.get("archive") == CASE_ARCHIVE:
            with self._lock:
                made = list(islice(self._items.values(), offset, offset + limit))
                total = len(self._items)
            return _json({"count": total, "next": None, "previous": None, "results": made})
        results = b",".join(self._listed[offset : offset + limit])
        following = self._items_url(limit, offset + limit) if offset + limit < ITEMS else None
        preceding = self._items_url(limit, max(offset - limit, 0)) if offset else None
        head = json.dumps({"count": ITEMS, "next": following, "previous": preceding})
        return _raw_json(head[:-1].encode() + b',"results":[' + results + b"]}")

    def _items_url(self, limit: int, offset: int) -> str:
        return f"{self.api_url}{API}/archives/items/?limit={limit}&offset={offset}"

    def _listed_item(self, number: int) -> dict[str, Any]:
        socket = SOCKETS[VALUE_SOCKET]
        # Newer servers name the socket twice.
        value = {"interface": socket, "socket": socket, "value": number / ITEMS}
        return {
            "pk": name("item", number),
            "title": f"Case {number}",
            "archive": self._archive_url(ARCHIVE),
            "values": [{**value, "file": None, "image": None, "pk": 1_000 + number}],
            **VIEW,
        }

    # ------------------------------------------------------------ archive items

    def create_item(self, request: Request) -> Reply:
        """Create an empty archive item."""
        body = json.loads(request.body)
        with self._lock:
            title = body.get("title") or ""
            if title in self._titles:
                words = "The fields title, archive must make a unique set."
                return _json({"non_field_errors": [words]}, 400)
            if title:
                self._titles.add(title)
        item = {
            "pk": str(uuid.uuid4()),
            "title": body.get("title") or "",
            "archive": body["archive"],
            "values": [],
            **VIEW,
        }
        with self._lock:
            self._items[item["pk"]] = item
        return _json(item, 201)

    def update_item(self, request: Request, pk: str) -> Reply:
        """Accept values for an archive item."""
        values = json.loads(request.body)["values"]
        wanted = [url for value in values for url in _upload_urls(value)]
        with self._lock:
            done = [self._uploads[_pk_of(url)].status == "Completed" for url in wanted]
            self._filled += all(done) and {value["interface"] for value in values} == _CASE_SOCKETS
            if not wanted:
                self._items[pk]["values"] = [self._value(value) for value in values]
        written = {**self._items[pk], "values": []}
        return _json(written, 200 if all(done) else 400)

    def _value(self, value: dict[str, Any]) -> dict[str, Any]:
        socket = SOCKETS[value["interface"]]
        pk = next(self._value_pks)
        shown = {"interface": socket, "socket": socket, "value": value["value"], "pk": pk}
        return {**shown, "file": None, "image": None}

    def show_item(self, _: Request, pk: str) -> Reply:
        """Return an archive item."""
        return _json(self._items[pk]) if pk in self._items else Reply(404)

    # ------------------------------------------------------------ uploads

    def create_upload(self, request: Request) -> Reply:
        """Create a multipart upload."""
        filename = json.loads(request.body)["filename"]
        upload = Upload(str(uuid.uuid4()), filename, uuid.uuid4().hex)
        with self._lock:
            self._uploads[upload.pk] = upload
        return _json(self._upload(upload), 201)

    def uploads(self, _: Request) -> Reply:
        """List the uploads."""
        return self._page([self._upload(upload) for upload in self._uploads.values()])

    def show_upload(self, _: Request, pk: str) -> Reply:
        """Return an upload."""
        return _json(self._upload(self._uploads[pk])) if pk in self._uploads else Reply(404)

    def presign(self, request: Request, pk: str, s3_upload_id: str) -> Reply:
        """Return a presigned URL for each requested part."""
        urls = {
            str(
                number
            ): f"{self.store_url}/uploads/1/{pk}?uploadId={s3_upload_id}&partNumber={number}&{SIGNED}"
            for number in json.loads(request.body)["part_numbers"]
        }
        return _json({**self._upload(self._uploads[pk]), "presigned_urls": urls})

    def list_parts(self, _: Request, pk: str, __: str) -> Reply:
        """List the stored parts."""
        upload = self._uploads[pk]
        parts = [
            {"ETag": f'"{digest}"', "PartNumber": number, "LastModified": _CREATED, "Size": size}
            for number, (size, digest) in sorted(upload.parts.items())
        ]
        return _json({**self._upload(upload), "parts": parts})

    def complete(self, request: Request, pk: str, _: str) -> Reply:
        """Complete an upload if the client's list of parts is correct."""
        upload = self._uploads[pk]
        named = {
            part["PartNumber"]: part["ETag"].strip('"')
            for part in json.loads(request.body)["parts"]
        }
        if not named or named != {number: md5 for number, (_, md5) in upload.parts.items()}:
            return Reply(500)
        upload.status = "Completed"
        return _json(self._upload(upload))

    def abort(self, _: Request, pk: str, __: str) -> Reply:
        """Abort an upload."""
        upload = self._uploads[pk]
        upload.status, upload.s3_upload_id, upload.parts = "Aborted", "", {}
        return _json(self._upload(upload))

    def _upload(self, upload: Upload) -> dict[str, Any]:
        return {
            "pk": upload.pk,
            "created": _CREATED,
            "filename": upload.filename,
            "key": f"uploads/1/{upload.pk}",
            "s3_upload_id": upload.s3_upload_id,
            "status": upload.status,
            "api_url": f"{self.api_url}{API}/uploads/{upload.pk}/",
        }

    def put_part(self, request: Request, pk: str) -> Reply:
        """Store the size and MD5 of a part."""
        query = _query(request)
        upload = self._uploads.get(pk)
        if upload is None or upload.s3_upload_id != query.get("uploadId"):
            return Reply(404)
        with self._lock:
            upload.parts[int(query["partNumber"])] = (request.size, request.md5)
        return Reply(200, headers={"ETag": f'"{request.md5}"'})

    def scratch(self, request: Request) -> Reply:
        """Accept the bytes of `ceiling.py`, which belong to no upload."""
        return Reply(200, headers={"ETag": f'"{request.md5}"'})

    # ------------------------------------------------------------ images

    def image(self, _: Request, pk: str) -> Reply:
        """Return the image of one large file, or the DICOM image set."""
        if pk == IMAGE:
            return _json(self._image(pk, [self._image_file()], None))
        if pk == DICOM_IMAGE:
            # The real server omits `shape` here, which the published client cannot parse.
            return _json(self._image(pk, [], {"image_set_id": uuid.UUID(pk).hex}))
        return Reply(404)

    def _image_file(self) -> dict[str, Any]:
        url = (
            f"{self.api_url}/media/images/{IMAGE[:2]}/{IMAGE[2:4]}/{IMAGE}/{IMAGE_FILE}/from-0.mha"
        )
        return {"pk": IMAGE_FILE, "image": IMAGE, "file": url, "image_type": "MHD"}

    def _image(self, pk: str, files: list[dict[str, Any]], image_set: object) -> dict[str, Any]:
        sizes = ("width", "height", "depth", "voxel_width_mm", "voxel_height_mm", "voxel_depth_mm")
        texts = ("patient_id", "patient_name", "patient_age", "patient_sex", "study_instance_uid")
        return {
            "pk": pk,
            "name": "bench",
            "files": files,
            "dicom_image_set": image_set,
            **dict.fromkeys(sizes),
            "color_space": "GRAY",
            "modality": None,
            "eye_choice": "NA",
            "stereoscopic_choice": None,
            "field_of_view": None,
            "shape_without_color": [512, 512],
            "shape": [512, 512],
            "api_url": f"{self.api_url}{API}/cases/images/{pk}/",
            **dict.fromkeys((*texts, "series_instance_uid"), ""),
            **dict.fromkeys(("study_description", "series_description"), ""),
            **dict.fromkeys(("patient_birth_date", "study_date", "segments")),
            **dict.fromkeys(("window_center", "window_width")),
        }

    def media(self, _: Request, filename: str) -> Reply:
        """Redirect to the store."""
        return Reply(302, headers={"Location": f"{self.store_url}/media/{filename}?{SIGNED}"})

    def stored_file(self, request: Request, _: str) -> Reply:
        """Return the large file or a range of it."""
        etag = f'"{large_md5()}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "binary/octet-stream"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if wanted is None or request.headers.get("if-range", etag) != etag:
            return Reply(200, Stretch(0, LARGE), headers)
        first, last = int(wanted[1]), min(int(wanted[2] or LARGE - 1), LARGE - 1)
        if first > last:
            return Reply(416, headers={"Content-Range": f"bytes */{LARGE}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{LARGE}"
        return Reply(206, Stretch(first, last - first + 1), headers)

    def instances(self, _: Request, __: str) -> Reply:
        """Return the signed request for each DICOM instance."""
        return _raw_json(self._instances)

    def _recipes(self) -> dict[str, Any]:
        image_set = uuid.UUID(DICOM_IMAGE).hex
        return {
            "image_set_id": image_set,
            "instances": [self._recipe(image_set, number) for number in range(INSTANCES)],
        }

    def _recipe(self, image_set: str, number: int) -> dict[str, Any]:
        uid = f"2.25.1.{number + 1}"
        path = f"/datastore/studies/2.25.2/series/2.25.3/instances/{uid}?imageSetId={image_set}"
        headers = {
            "Accept": "application/dicom; transfer-syntax=*",
            "X-Amz-Date": "20251101T120000Z",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=bench, SignedHeaders=host, Signature={'0' * 64}",
        }
        recipe = {"url": self.store_url + path, "method": "GET", "data": None, "headers": headers}
        return {"sop_instance_uid": uid, "get_instance": recipe}

    def instance(self, request: Request, number: str) -> Reply:
        """Return a DICOM instance if the request is signed."""
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return Reply(403)
        offset = (int(number) - 1) * INSTANCE_SIZE
        return Reply(200, Stretch(offset, INSTANCE_SIZE), {"Content-Type": "application/dicom"})


@cache
def large_md5() -> str:
    """Return the hex MD5 of the large file."""
    return pattern.md5(0, LARGE)


def _has_token(request: Request) -> bool:
    return request.headers.get("authorization", "").lower().startswith("bearer ")


def _query(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.query))


def _upload_urls(value: dict[str, Any]) -> list[str]:
    single = value.get("user_upload")
    return [single] if single else list(value.get("user_uploads") or [])


def _pk_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def _json(content: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _raw_json(content: bytes) -> Reply:
    return Reply(200, content, {"Content-Type": "application/json"})


Route = tuple[str, "re.Pattern[str]", "Callable[..., Reply]"]


def _at(method: str, path: str, handler: Callable[..., Reply]) -> Route:
    return method, re.compile(path), handler


def _route(routes: tuple[Route, ...], world: World, request: Request) -> Reply:
    method = "GET" if request.method == "HEAD" else request.method
    for expected, path, handler in routes:
        if method == expected and (found := path.fullmatch(request.path)):
            return handler(world, request, *found.groups())
    return Reply(404)


_PK = r"([0-9a-f-]{36})"
_MULTIPART = rf"{API}/uploads/{_PK}/([0-9a-f]{{32}})"
_API_ROUTES = (
    _at("GET", f"{API}/gcapi/", World.version),
    _at("GET", f"{API}/archives/", World.archives),
    _at("GET", rf"{API}/archives/{_PK}/", World.archive),
    _at("GET", f"{API}/components/interfaces/", World.sockets),
    _at("GET", f"{API}/archives/items/", World.items),
    _at("POST", f"{API}/archives/items/", World.create_item),
    _at("PATCH", f"{API}/archives/items/{_PK}/", World.update_item),
    _at("GET", f"{API}/archives/items/{_PK}/", World.show_item),
    _at("POST", f"{API}/uploads/", World.create_upload),
    _at("GET", f"{API}/uploads/", World.uploads),
    _at("GET", f"{API}/uploads/{_PK}/", World.show_upload),
    _at("PATCH", f"{_MULTIPART}/generate-presigned-urls/", World.presign),
    _at("GET", f"{_MULTIPART}/list-parts/", World.list_parts),
    _at("PATCH", f"{_MULTIPART}/complete-multipart-upload/", World.complete),
    _at("PATCH", f"{_MULTIPART}/abort-multipart-upload/", World.abort),
    _at("GET", f"{API}/cases/images/{_PK}/", World.image),
    _at("GET", f"{API}/cases/images/{_PK}/dicom/instances/", World.instances),
    _at("GET", r"/media/images/.*/([^/]+)", World.media),
)
_STORE_ROUTES = (
    _at("PUT", rf"/uploads/1/{_PK}", World.put_part),
    _at("PUT", r"/scratch", World.scratch),
    _at("GET", r"/media/([^/]+)", World.stored_file),
    _at("GET", r"/datastore/.*/instances/2\.25\.1\.(\d+)", World.instance),
)
