"""Types and callbacks of options, and what ``push`` and ``pull`` share: workers, a Dask cluster, and progress."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args

import click

import gcapi
from gcapi._util.extras import import_extra
from gcapi.cli.session import Session
from gcapi.findings import InspectMode

if TYPE_CHECKING:
    from gcapi._http.configuration import StoredToken
    from gcapi.bulk._tables.formats import TableFormat

#: What an option decorates.
Decorated = TypeVar("Decorated", bound="Callable[..., Any] | click.Command")


class OptionDecorator(Protocol):
    """A decorator that adds an option to a command."""

    def __call__(self, decorated: Decorated, /) -> Decorated:
        """Add the option."""
        ...


FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
#: The formats of tables that are written.
TABLE_FORMATS: tuple[TableFormat, ...] = ("csv", "tsv", "xlsx", "jsonl", "parquet")

dask_option: OptionDecorator = click.option(
    "--dask",
    metavar="ADDRESS",
    help="Transfer the files on the workers of a Dask cluster with this scheduler.",
)


def inspect_options(decorated: Decorated) -> Decorated:
    """Add the options that say what to do about findings in local files."""
    inspect = click.option(
        "--inspect",
        type=click.Choice(get_args(InspectMode)),
        default="error",
        show_default=True,
        help="What to do about files that the server, or the next reader, cannot use: refuse, warn, or do not look.",
    )
    no_inspect = click.option(
        "--no-inspect", "inspect", flag_value="off", help="The same as --inspect off."
    )
    return inspect(no_inspect(decorated))


existing_option: OptionDecorator = click.option(
    "--existing",
    type=click.Choice(["error", "skip", "overwrite"]),
    default="error",
    show_default=True,
    help="Policy for output files that already exist.",
)


def format_option(
    name: str, text: str, default: TableFormat | None = None
) -> Callable[[Decorated], Decorated]:
    """Return the option for the format of a table.

    Args:
        name: The parameter of the command.
        text: Its help.
        default: The default; `None` for none.
    """
    return click.option(
        "--format",
        name,
        type=click.Choice(TABLE_FORMATS),
        default=default,
        show_default=default is not None,
        help=text,
    )


def output_option(text: str, default: Path | None = None) -> Callable[[Decorated], Decorated]:
    """Return the option for a directory to download to, with its help."""
    return click.option("-o", "--output", type=FOLDER, default=default, metavar="DIR", help=text)


def timeout_option(text: str, default: float | None = None) -> Callable[[Decorated], Decorated]:
    """Return the option for the longest wait, with its help."""
    seconds = click.FloatRange(min=0)
    return click.option("--timeout", type=seconds, metavar="SECONDS", default=default, help=text)


def workers_option(default: int) -> Callable[[Decorated], Decorated]:
    """Return the option for the number of cases that are processed at the same time."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        default=default,
        show_default=True,
        help="Process N cases at the same time.",
    )


def collect_pairs(
    _: click.Context, param: click.Parameter, texts: Sequence[str]
) -> dict[str, list[str]]:
    """Return the values of a repeatable option ``KEY=VALUE`` by key: a callback of click.

    Raises:
        click.BadParameter: A text is not a pair.
    """
    values: dict[str, list[str]] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not (key and separator):
            raise click.BadParameter(f"{text!r} is not {param.metavar}.")
        values.setdefault(key, []).append(value)
    return values


@contextmanager
def dask_executor(address: str | None) -> Generator[Executor | None]:
    """Yield the executor of a Dask cluster; `None` without an address.

    Raises:
        MissingExtra: Dask is not installed.
        ConfigurationError: There is no scheduler at the address.
    """
    if address is None:
        yield None
        return
    missing = gcapi.exceptions.MissingExtra(
        "--dask needs the package distributed: pip install '.[dask]' in a checkout of gcapi."
    )
    distributed = import_extra("distributed", missing)
    try:
        cluster = distributed.Client(address)
    except (OSError, ValueError) as error:
        raise gcapi.exceptions.ConfigurationError(
            f"There is no Dask scheduler at {address}: {error}. Correct the address, or start 'dask scheduler'."
        ) from error
    with cluster:
        yield cluster.get_executor()


@contextmanager
def transfer_arguments(
    session: Session, token: StoredToken, dask: str | None
) -> Generator[dict[str, Any]]:
    """Yield the arguments that `push` and `pull` share: the executor, its token, and whether to show progress."""
    with dask_executor(dask) as executor:
        yield {"executor": executor, "token_file": token.path, "progress": not session.quiet}
