"""The help of commands: whole summaries in the help of a group, and an example at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import click

_MAX_WIDTH, _MIN_WIDTH = 80, 20
#: An example for each command; none of them changes anything by being parsed.
EXAMPLES = {
    "login": "gcapi login",
    "whoami": "gcapi whoami",
    "logout": "gcapi logout",
    "archives list": "gcapi archives list --csv > archives.csv",
    "archives show": "gcapi archives show my-archive",
    "studies list": "gcapi studies list",
    "studies show": "gcapi studies show my-study",
    "algorithms list": "gcapi algorithms list",
    "algorithms show": "gcapi algorithms show my-algorithm",
    "images list": "gcapi images list --archive my-archive",
    "images show": "gcapi images show 0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d",
    "images download": "gcapi images download 0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d -o images",
    "sockets list": "gcapi sockets list",
    "sockets show": "gcapi sockets show generic-medical-image",
    "cases list": "gcapi cases list archive:my-archive",
    "cases show": "gcapi cases show archive:my-archive case-1",
    "jobs list": "gcapi jobs list --algorithm my-algorithm --status Succeeded",
    "jobs show": "gcapi jobs show 0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d",
    "jobs wait": "gcapi jobs wait 0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d --timeout 3600",
    "jobs pull": "gcapi jobs pull 0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d -o results",
    "run": "gcapi run my-algorithm -i generic-medical-image=ct.mha -o results",
    "manifest init": "gcapi manifest init scans --target archive:my-archive",
    "manifest check": "gcapi manifest check cases.csv archive:my-archive",
    "push": "gcapi push cases.csv archive:my-archive --wait",
    "pull": "gcapi pull archive:my-archive my-folder",
    "answers": "gcapi answers my-study -o answers.csv",
    "evaluations": "gcapi evaluations my-challenge/my-phase --csv",
    "verify": "gcapi verify my-folder",
    "diff": "gcapi diff my-folder",
    "uploads list": "gcapi uploads list --since yesterday",
    "uploads resume": "gcapi uploads resume 0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d ct.mha",
    "uploads abort": "gcapi uploads abort --unfinished",
    "api": "gcapi api GET archives/ -f slug=my-archive",
    "doctor": "gcapi doctor --upload",
    "sandbox": "gcapi sandbox --data sandbox-data",
    "completion": "gcapi completion bash",
}


class Formatter(click.HelpFormatter):
    """The format of help texts, which also fits terminals of less than 50 columns."""

    def __init__(
        self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None
    ) -> None:
        columns = min(shutil.get_terminal_size().columns or _MAX_WIDTH, max_width or _MAX_WIDTH)
        super().__init__(indent_increment, width or max(columns - 2, _MIN_WIDTH))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write a list of names and their descriptions in two columns."""
        super().write_dl(list(rows), min(col_max, self.width // 3 + 6), col_spacing)


class Context(click.Context):
    """A context with that format."""

    formatter_class: type[click.HelpFormatter] = Formatter


class Command(click.Command):
    """A command whose help ends with an example."""

    context_class: type[click.Context] = Context

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first paragraph of the help, which the help of the group wraps rather than cuts."""
        del limit
        return " ".join((self.help or "").partition("\n\n")[0].split())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example on a line of its own, which can be copied."""
        super().format_epilog(ctx, formatter)
        example = EXAMPLES.get(ctx.command_path.partition(" ")[2])
        if example:
            formatter.write(f"\nExample:\n  {example}\n")
