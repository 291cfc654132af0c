"""The version, and installations that are mixed with the published client, which has the same names."""

from pathlib import Path

__version__ = "1.0.0a1"
#: A module that all releases of the published client have, and this one does not.
_MODULE_OF_PUBLISHED_CLIENT = "apibase.py"


def check_installation() -> None:
    """Check that the published client is not installed over this one, or under it.

    It imports nothing of gcapi, because any module may be that of the published client.

    Raises:
        ImportError: It is; the message says what to do.
    """
    folder = Path(__file__).parents[1]
    if (folder / _MODULE_OF_PUBLISHED_CLIENT).exists():
        raise ImportError(
            f"{folder} has files of two releases of gcapi, which are installed over each other. Run"
            f" `pip uninstall gcapi` until pip finds none, delete {folder} if it is still there, and install one of"
            " them.",
            name="gcapi",
        )
