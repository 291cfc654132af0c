"""Build hook: the README with absolute links, for package indexes, which cannot follow relative ones."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ReadmeWithAbsoluteLinks(MetadataHookInterface):
    """The `readme` of the metadata: README.md, whose relative links lead to the repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`, in place."""
        files = f"{metadata['urls']['Repository']}/blob/main"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = re.sub(r"\]\((?![a-z]+:|#)", f"]({files}/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
