"""Pull the schema of a server, list the changes, and generate the low-level package.

`make schema` runs it. The source is the first argument or `SCHEMA_URL`: the address or path of a JSON or YAML file. The
default is the public server. Nothing is replaced if the overlay no longer fits, or if operations, models or fields that
`gcapi` uses are gone, which mypy finds; `FORCE=1` or `--force` overrides the latter.
"""

import argparse
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import generate
import httpx
from generate import GenerationError, Json, Layout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gcapi._api.schema_diff import operation_names, schema_differences, schema_problem

DEFAULT_SOURCE = "https://grand-challenge.org/api/schema/"

#: What mypy reports where something is gone; `make check` finds the rest, such as fields that can be null now.
_GONE = re.compile(
    r": error: .*\[(attr-defined|union-attr|name-defined|import-not-found|call-arg|typeddict-item"
    r"|typeddict-unknown-key)\]$"
)

#: The cache of mypy; `None` for a temporary one.
CACHE_DIRECTORY: Path | None = None
#: The fields that each module reads by name, which mypy does not see: those that a server may leave out, and those of
#: JSON that is kept in a file. A model can be a pattern.
READ_BY_NAME = {
    "_api/identifiers.py": "Archive.url Archive.pk Algorithm.slug ComponentInterface.slug ReaderStudy.slug",
    "_api/resource_mixins.py": "Paginated*.count Paginated*.results",
    "_api/titles.py": "DisplaySet.title_safe",
    "_api/version_check.py": "GCAPIVersion.lowest_supported_version GCAPIVersion.latest_version",
    "_transfer/image_files.py": """DICOMInstances.instances DICOMInstance.sop_instance_uid DICOMInstance.get_instance
        DICOMRequest.url DICOMRequest.method DICOMRequest.headers""",
    "_transfer/multipart.py": "Part.ETag Part.Size PartRequest.ETag PartRequest.PartNumber",
    "_transfer/uploads.py": "UserUploadParts.parts Part.PartNumber Part.Size",
    "_workflows/cases.py": "DisplaySet.order DisplaySetPost.order",
    "_workflows/prepare.py": "UserUpload.created UserUploadComplete.created",
    "_workflows/plans.py": """HyperlinkedComponentInterfaceValue.interface HyperlinkedComponentInterfaceValue.value
        HyperlinkedComponentInterfaceValue.file HyperlinkedComponentInterfaceValue.image ComponentInterface.pk""",
    "_workflows/workflows.py": """ArchiveItem.archive ArchiveItemPost.archive DisplaySet.reader_study
        DisplaySetPost.reader_study""",
    "bulk/_pull/answers.py": "Answer.pk Answer.answer_image Answer.api_url",
    "bulk/_pull/case_pull.py": "HyperlinkedComponentInterfaceValue.image",
    "bulk/_pull/remote_cases.py": """ArchiveItem.pk ArchiveItem.values DisplaySet.pk DisplaySet.order DisplaySet.values
        DisplaySet.api_url HyperlinkedJob.pk HyperlinkedJob.api_url HyperlinkedJob.status HyperlinkedJob.inputs
        HyperlinkedJob.outputs HyperlinkedJob.algorithm_image HyperlinkedComponentInterfaceValue.pk
        HyperlinkedComponentInterfaceValue.interface HyperlinkedComponentInterfaceValue.value
        HyperlinkedComponentInterfaceValue.file HyperlinkedComponentInterfaceValue.image ComponentInterface.kind
        ComponentInterface.slug""",
    "sockets.py": "ComponentInterface.slug",
    "resources/_answer_rows.py": """Answer.pk Answer.question Answer.display_set Answer.creator Answer.answer
        Answer.created Answer.modified Answer.last_edit_duration Answer.total_edit_duration Answer.is_ground_truth
        Answer.score""",
    "cli/output.py": """HyperlinkedComponentInterfaceValue.interface HyperlinkedComponentInterfaceValue.value
        HyperlinkedComponentInterfaceValue.file HyperlinkedComponentInterfaceValue.image ComponentInterface.slug
        AlgorithmInterface.inputs AlgorithmInterface.outputs""",
}


class SchemaError(Exception):
    """Raised when the schema cannot be used; the message says why."""


def fetch(source: str) -> str:
    """Return the text of a schema.

    Args:
        source: An http(s) address, or the path of a file.

    Raises:
        SchemaError: The source cannot be read.
    """
    try:
        if not source.startswith(("http://", "https://")):
            return Path(source).read_text(encoding="utf-8")
        address = httpx.URL(source).copy_merge_params({"format": "json"})
        accept = {"Accept": "application/json"}
        answer = httpx.get(address, headers=accept, follow_redirects=True, timeout=60)
        text = answer.raise_for_status().text
    except (OSError, UnicodeDecodeError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise SchemaError(f"Cannot read {source}: {error}") from error
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if kind == "text/html" or text.lstrip()[:1] == "<":
        redirect = (
            f" after a redirect to {answer.url.copy_with(query=None)}" if answer.history else ""
        )
        raise SchemaError(
            f"{source} answered with a web page ({kind}, {answer.status_code}){redirect}. A login may be needed:"
            " download the schema in a browser, and pass its path as SCHEMA_URL."
        )
    return text


def read(text: str) -> Any:
    """Parse a JSON or YAML text.

    Raises:
        SchemaError: It is neither.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if text.lstrip().startswith("{"):
            raise SchemaError(
                f"This is truncated or invalid JSON of {len(text)} characters: {error}"
            ) from error
    if text.lstrip().startswith("<"):
        raise SchemaError(f"This is a web page, not a schema: {text[:60]!r}")
    try:  # through JSON, so that status codes, which YAML reads as numbers, become strings
        return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))
    except (YAMLError, TypeError) as error:
        if text.lstrip().startswith("openapi:"):
            raise SchemaError(
                f"This is truncated or invalid YAML of {len(text)} characters: {error}"
            ) from error
        raise SchemaError(f"This is neither JSON nor YAML: {text[:60]!r}") from error


def validate(pulled: Any, known: Json) -> None:
    """Check that a document is a schema of this API.

    Args:
        pulled: The parsed document.
        known: The snapshot.

    Raises:
        SchemaError: It is not.
    """
    problem = schema_problem(pulled)
    if problem:
        raise SchemaError(problem)
    missing = sorted(_references(pulled) - _definitions(pulled["components"])) or [
        f"the responses of {path}"
        for path, methods in pulled["paths"].items()
        for operation in (methods.values() if isinstance(methods, dict) else [None])
        if not isinstance(operation, dict) or not operation.get("responses")
    ]
    if missing:
        raise SchemaError(
            f"This schema is truncated or invalid: it lacks {missing[0]}"
            + (f" and {len(missing) - 1} more of what it refers to." if missing[1:] else ".")
        )
    names, found = operation_names(known), operation_names(pulled)
    if 2 * len(names & found) < len(names):
        raise SchemaError(
            f"This is the schema of another API: it has {len(names & found)} of the "
            f"{len(names)} operations that we know."
        )


def _references(part: Any) -> set[str]:
    """Return all that a part of a schema refers to, such as ``schemas/Archive``."""
    if isinstance(part, list):
        return set().union(*map(_references, part))
    if not isinstance(part, dict):
        return set()
    found = set().union(*map(_references, part.values()))
    if isinstance(reference := part.get("$ref"), str):
        found.add(reference.removeprefix("#/components/"))
    if isinstance(schemes := part.get("security"), list):
        found.update(f"securitySchemes/{name}" for scheme in schemes for name in scheme)
    return found


def _definitions(components: Json) -> set[str]:
    """Return what a schema defines, by the same names."""
    return {f"{kind}/{name}" for kind in components for name in components[kind] or ()}


def broken_uses(layout: Layout, generated: Path) -> list[str]:
    """Return the places in `gcapi` that use what a generated package does not have, as mypy reports them.

    Args:
        layout: The paths.
        generated: The folder that holds the package.
    """
    with tempfile.TemporaryDirectory() as temporary:
        cache = CACHE_DIRECTORY or temporary
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"),
                *(f"--config-file={generate.ROOT / 'pyproject.toml'}", f"--cache-dir={cache}"),
                *("--no-pretty", "src/gcapi"),
            ],
            cwd=layout.root,
            env={**os.environ, "MYPYPATH": os.pathsep.join((str(generated), "src"))},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in {0, 1}:
        raise SchemaError(f"mypy failed:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if _GONE.search(line)]


def broken_reads(root: Path, corrected: Json) -> list[str]:
    """Return the places in `gcapi` that read by name a field that a schema does not have.

    Args:
        root: The folder with `src/`.
        corrected: The schema after the overlay.
    """
    models: Json = corrected["components"]["schemas"]
    broken: list[str] = []
    for name, reads in READ_BY_NAME.items():
        path = Path("src/gcapi") / name
        lines = (root / path).read_text("utf-8").splitlines() if (root / path).exists() else []
        for pattern, field in (read.split(".") for read in reads.split() if lines):
            number = next((n for n, line in enumerate(lines, 1) if _reads(line, field)), 0)
            broken += [
                f'{path.as_posix()}:{number}: error: "{model}" has no attribute "{field}", which is read by name'
                for model in fnmatch.filter(models, pattern) or [pattern]
                if field not in models.get(model, {}).get("properties", {})
            ]
    return broken


def _reads(line: str, field: str) -> bool:
    return bool(re.search(rf"[\"'.]{field}\b", line))


def update(source: str, layout: Layout, *, force: bool = False) -> None:
    """Print the changes of a schema, generate the package, and replace the snapshot.

    Args:
        source: An http(s) address, or the path of a file.
        layout: The paths.
        force: Continue although something that `gcapi` uses is gone.

    Raises:
        SchemaError: The schema cannot be used; nothing is replaced.
        GenerationError: The overlay does not fit; nothing is replaced.
    """
    known, pulled = generate.load(layout), read(fetch(source))
    validate(pulled, known)
    changes = schema_differences(known, pulled)
    print("\n".join(changes) or "No operation, model or field has changed.")
    layout.package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=layout.package.parent, prefix=".building-") as folder:
        built = Path(folder) / generate.PACKAGE
        skipped = generate.build(layout, pulled, built)
        corrected = json.loads((built / "schema.json").read_text(encoding="utf-8"))
        broken = broken_uses(layout, Path(folder)) + broken_reads(layout.root, corrected)
        if broken:
            print("gcapi uses what the schema does not have:", *broken, sep="\n  ")
            if not force:
                raise SchemaError("Nothing was replaced. Change gcapi first, or set FORCE=1.")
        generate.replace(built, layout.package)
    print(*skipped, sep="\n")
    _replace(layout.snapshot, pulled)
    print("Next: review `git diff openapi generated`, and run `make check test`.")


def _replace(path: Path, schema: Json) -> None:
    """Replace the snapshot atomically."""
    text = json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(path)


def main(arguments: list[str] | None = None, layout: Layout | None = None) -> int:
    """Pull the schema and generate the package; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Pull the schema of a server, and generate the package."
    )
    default = os.environ.get("SCHEMA_URL") or DEFAULT_SOURCE
    parser.add_argument("source", nargs="?", default=default, help="an address or a path")
    parser.add_argument("--force", action="store_true", default=os.environ.get("FORCE") == "1")
    options = parser.parse_args(arguments)
    try:
        update(options.source, layout or Layout(), force=options.force)
    except (SchemaError, GenerationError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
