"""A typed client for the Grand Challenge medical image analysis platform.

`Client`, `SocketValueSpec`, `__version__` and the public modules are imported on first access.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcapi import check_version as check_version
    from gcapi import client as client
    from gcapi import create_strategies as create_strategies
    from gcapi import exceptions as exceptions
    from gcapi import findings as findings
    from gcapi import jobs as jobs
    from gcapi import models as models
    from gcapi import progress as progress
    from gcapi import resources as resources
    from gcapi import retries as retries
    from gcapi import sockets as sockets
    from gcapi._util.installation import __version__ as __version__
    from gcapi.client import Client as Client
    from gcapi.sockets import SocketValueSpec as SocketValueSpec

__all__ = ["Client", "SocketValueSpec"]

_LAZY_NAMES = {
    "Client": "gcapi.client",
    "SocketValueSpec": "gcapi.sockets",
    "__version__": "gcapi._util.installation",
}
_MODULES = frozenset(
    {
        "check_version",
        "client",
        "create_strategies",
        "exceptions",
        "findings",
        "jobs",
        "models",
        "progress",
        "resources",
        "retries",
        "sockets",
    }
)


def __getattr__(name: str) -> Any:
    if name in _LAZY_NAMES:
        return getattr(import_module(_LAZY_NAMES[name]), name)
    if name in _MODULES:
        return import_module(f"gcapi.{name}")
    raise AttributeError(f"module 'gcapi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_NAMES, *_MODULES})
