"""``run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcapi.cli.commands.jobs import day_option, download_outputs, show_files
from gcapi.cli.options import collect_pairs, existing_option, inspect_options, output_option
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import complete_slug
from gcapi.findings import InspectMode

if TYPE_CHECKING:
    from gcapi._transfer.atomic_file import ExistingFile


@command()
@click.argument("algorithm", metavar="ALGORITHM", shell_complete=complete_slug("algorithm"))
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="SOCKET=VALUE",
    callback=collect_pairs,
    help="The value of an input socket: a path for an image or a file, JSON for a value, plain text for a String. An"
    " image of several files is a folder, a glob, paths separated by ';', or the option repeated.",
)
@inspect_options
@click.option("--wait", is_flag=True, help="Wait until the job has finished.")
@output_option("Wait, and download all outputs to this directory.")
@existing_option
@day_option
def run(
    session: Session,
    *,
    algorithm: str,
    inputs: dict[str, list[str]],
    inspect: InspectMode,
    wait: bool,
    output: Path | None,
    existing: ExistingFile,
    timeout: float,
) -> None:
    """Start an algorithm job.

    ALGORITHM is a slug; "gcapi algorithms show ALGORITHM" lists the inputs. Without --wait and --output the command
    returns when the job has started; "gcapi jobs pull PK" downloads the outputs later.
    """
    from gcapi.bulk.cells import spec_of_cell

    with session.client(progress=True) as client:
        specs = [
            spec_of_cell(
                client.workflows.lookup.socket(slug),
                texts[0] if len(texts) == 1 else texts,
                folder=Path(),
                # A DICOM image set needs a name, which is that of its first file or folder.
                image_name=Path(texts[0]).name or slug,
            )
            for slug, texts in inputs.items()
        ]
        started = client.start_algorithm_job(
            algorithm_slug=algorithm, inputs=specs, inspect=inspect
        )
        session.say(f"Job {started.pk} was started.")
        if not (wait or output):
            session.show({"pk": started.pk, "status": started.status})
            return
        job = client.wait_for_job(started, timeout=timeout)
        if output is None:
            session.show(job.to_dict())
            return
        downloaded = download_outputs(client, job, output, existing)
    if session.as_json:
        session.show(downloaded)
    else:
        show_files(session, [downloaded])
