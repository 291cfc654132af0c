"""The version, and installations that are mixed with the published client, which has the same names."""

from pathlib import Path

__version__ = "1.0.0a1"
#: A module that all releases of the published client have, and this one does not.
_MODULE_OF_PUBLISHED_CLIENT = "apibase.py"


def conflict_message() -> str:
    """Return what to do if the published client is installed over this one, or under it; empty if it is not.

    It imports nothing of gcapi, because any module may be that of the published client.
    """
    folder = Path(__file__).parents[1]
    if not (folder / _MODULE_OF_PUBLISHED_CLIENT).exists():
        return ""
    return (
        f"{folder} has files of two releases of gcapi, which are installed over each other. Run `pip uninstall gcapi`,"
        f" delete {folder} if it is still there, and install one of them."
    )
