"""``answers``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcapi import bulk
from gcapi._util.messages import counted
from gcapi.cli.commands.objects import STUDIES
from gcapi.cli.exit_codes import InvalidInput
from gcapi.cli.listing import field
from gcapi.cli.options import FILE, FOLDER, TABLE_FORMATS, format_option
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import complete_slug

if TYPE_CHECKING:
    from gcapi.bulk._tables.formats import TableFormat
    from gcapi.resources.answer_summary import QuestionSummary

_LONG_COLUMNS = ("creator", "display_set", "question", "answer_text", "ground_truth_text", "score")
_SUMMARY_COLUMNS = ("question", "answers", "summary", "missing", "agreement")


@command()
@click.argument("study", metavar="STUDY", shell_complete=complete_slug("study"))
@format_option(
    "suffix",
    "Write a table with all columns in this format; by default that of the suffix of --output.",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="Write the table to this file, in place of an existing one; by default to standard output.",
)
@click.option(
    "--wide", is_flag=True, help="One row for each case and reader, a column for each question."
)
@click.option(
    "--masks",
    type=FOLDER,
    metavar="DIR",
    help="Download the masks to this directory, named after case, question and reader; existing files are kept.",
)
@click.option(
    "--summary",
    is_flag=True,
    help="Instead of answers, show counts, means, missing answers and the agreement of the readers for each question.",
)
def answers(
    session: Session,
    *,
    study: str,
    suffix: TableFormat | None,
    output: Path | None,
    wide: bool,
    masks: Path | None,
    summary: bool,
) -> None:
    """Print or save the answers of a reader study, without downloading its images.

    STUDY is the slug, pk or URL of a reader study. Editors see all answers, readers see their own.
    """
    if suffix is None and output is not None:
        found = output.suffix.lower().removeprefix(".")
        suffix = next((one for one in TABLE_FORMATS if one == found), None)
    if output is None and suffix in {"xlsx", "parquet"} and sys.stdout.isatty():
        raise InvalidInput(f"{suffix} is not text. Name a file: -o answers.{suffix}")
    if suffix is None and output is not None:
        raise InvalidInput(
            f"{output}: use one of the suffixes {', '.join(TABLE_FORMATS)}, or --format."
        )
    with session.client() as client:
        table = client.reader_studies.answers_table(STUDIES.find(client, study).slug)
        if masks is not None:
            bulk.download_masks(client, table, masks)
    if not table.rows:
        session.say(f"There are no answers in {study} that you can see.")
    if summary:
        summaries = table.summary()
        documents = map(asdict if session.as_json else _summary_row, summaries)
        session.show_all(documents, tuple(map(field, _SUMMARY_COLUMNS)))
        return
    columns, rows = table.wide() if wide else (table.columns, table.rows)
    if suffix is None:
        session.show_all(rows, tuple(map(field, columns if wide else _LONG_COLUMNS)))
        return
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(bulk.encode_answers(columns, rows, suffix))
    else:
        bulk.save_answers(output, columns, rows, suffix)
        session.say(f"{output}: {counted(len(rows), 'row')}.")


def _summary_row(one: QuestionSummary) -> dict[str, Any]:
    """Return the summary of a question in words."""
    parts = [f"{option}: {count}" for option, count in one.counts.items()]
    if one.mean is not None:
        parts.append(
            f"mean {one.mean:.4g}" + (f" \u00b1 {one.std:.4g}" if one.std is not None else "")
        )
    missing = [f"{reader}: {count}" for reader, count in one.missing.items() if count]
    agreement = ""
    if one.agreement is not None:
        percent, kappa = one.agreement.percent, one.agreement.kappa
        facts = [
            f"{percent:.0f} % of {one.agreement.cases} cases" if percent is not None else "",
            f"{one.agreement.method}'s kappa {kappa:.2f}" if kappa is not None else "",
            one.agreement.note,
        ]
        agreement = ", ".join(filter(None, facts))
    return {
        "question": one.question,
        "answers": one.answers,
        "summary": ", ".join(parts),
        "missing": ", ".join(missing),
        "agreement": agreement,
    }
