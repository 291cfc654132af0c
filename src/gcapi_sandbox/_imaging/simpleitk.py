"""SimpleITK, imported when it is first used."""

from __future__ import annotations

import importlib
from typing import Any


def load_sitk() -> Any:
    """Return SimpleITK, which takes long to import, with its warnings on stderr turned off."""
    sitk: Any = importlib.import_module("SimpleITK")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk
