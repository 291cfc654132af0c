"""Links of the API reference: names that the code has in another module than the documentation."""

from typing import Any

import griffe


class DocumentedNames(griffe.Extension):
    """Resolves names under "Raises" as exceptions of gcapi, wherever they are raised."""

    def on_function(self, *, func: griffe.Function, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Give the names under "Raises" the place where they are documented."""
        if func.docstring is None:
            return
        for section in func.docstring.parsed:
            if isinstance(section, griffe.DocstringSectionRaises):
                for one in section.value:
                    known = getattr(one.annotation, "canonical_path", "")
                    if not known.startswith("gcapi."):
                        exceptions = loader.modules_collection["gcapi.exceptions"]
                        one.annotation = griffe.ExprName(str(one.annotation), parent=exceptions)
