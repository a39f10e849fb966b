"""`archdsl predict`: run a network on images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from archdsl.cli import complete
from archdsl.cli.attribution import explain_options, open_stream
from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    Range,
    arg_option,
    color_option,
    force_option,
    half_option,
    input_option,
    named_values,
    weights_option,
)

if TYPE_CHECKING:
    from archdsl.backends.onnx.half_precision import Precision
    from archdsl.prediction.destination import Destination
    from archdsl.prediction.result import Row
    from archdsl.prediction.stream import PredictStream
    from archdsl.runtime.session import Device


def running_options(command: Any) -> Any:
    """Add the options that say where and how much at a time the network runs."""
    options = (
        click.option(
            "--device",
            metavar="NAME",
            default="auto",
            show_default=True,
            help="Device: cpu, cuda, cuda:1, tensorrt, or auto: a GPU if one works.",
        ),
        click.option("--batch", type=Range(1, 4096), help="Images that run together. Default: 8; 1 for few images."),
        click.option(
            "--workers", type=Range(1, 256), help="Threads that read images. Default: one per core, up to 16."
        ),
        click.option("--shard", metavar="I/N", help="Run each N-th chunk of images only, from the I-th on: 1/4."),
        click.option(
            "--chunk", type=Range(1, 1_000_000), help="Images per chunk, which is one part file. Default: 512."
        ),
        click.option("--resume", is_flag=True, help="Leave out the finished part files of the folder OUT."),
        click.option("--engine", type=Choice(["ray"]), help="Run chunks of images on a cluster: ray."),
        named_values(("--ray",), "Option of Ray: --ray address=auto --ray num_gpus=1. May be repeated."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("predict")
@click.argument("model", metavar="SPEC|MODEL.onnx", shell_complete=complete.specs)
@click.argument("images", metavar="INPUT...", nargs=-1, required=True, shell_complete=complete.files)
@weights_option
@half_option
@click.option("--seed", type=Range(0, 2**63 - 1), help="Seed of random weights. Default: 0.")
@click.option("--top", type=Range(1, 1000), default=5, show_default=True, help="Number of classes to print.")
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    shell_complete=complete.files,
    help="Write the table to a file .jsonl, .csv or .parquet, or part files to a folder; of text and json, write the "
    "output image to a file, or several to a folder.",
)
@click.option(
    "--outputs", metavar="NAME", multiple=True, help="Write the values of this output (all: of each). May be repeated."
)
@click.option(
    "--pictures",
    metavar="FOLDER",
    shell_complete=complete.folders,
    help="Write output images to FOLDER, if OUT is a table.",
)
@click.option(
    "--stretch", is_flag=True, help="Map the smallest output value to black, the largest to white. Default: 0 and 1."
)
@explain_options
@running_options
@arg_option
@input_option
@force_option
@click.option(
    "--format",
    "format",
    type=Choice(["text", "json", "jsonl", "csv", "parquet"]),
    help="Output format. Default: that of OUT, else text.",
)
@color_option
@click.pass_obj
def command(
    console: Console,
    /,
    model: str,
    images: tuple[str, ...],
    weights: str | None,
    precision: Precision,
    device: Device,
    output: str | None,
    pictures: str | None,
    format: str | None,
    resume: bool,
    engine: str | None,
    ray: dict[str, str],
    args: dict[str, str],
    size: str | None,
    force: bool,
    **options: Any,
) -> int:
    """Run a network on images with ONNX Runtime; needs no torch.

    INPUT is a file, a folder, a glob, @FILE with names, - for names from standard input, or a URL such as
    s3://bucket/folder. Preprocesses images as the spec, or the model's metadata, defines. Prints the most likely
    classes, or writes the image that the network outputs. A SPEC is compiled first; without --weights, its weights are
    random. An image that cannot be used is a row with its error, and the exit status is 1. --explain also writes a map
    of each input that shows where the score of a class comes from.
    """
    from archdsl.prediction.destination import destination
    from archdsl.spec.open import parse_overrides

    engine = engine or ("ray" if ray else None)
    parts = options["shard"] is not None or engine is not None
    maps, chunk = options["method"] is not None, options.pop("chunk")
    target = destination(format, output, pictures, resume, options["outputs"], parts, maps, chunk)
    options |= {} if chunk is None else {"chunk": chunk}
    with open_stream(
        target,
        model,
        images,
        weights=weights,
        precision=precision,
        device=device,
        force=force,
        engine=_engine(engine, ray),
        args=parse_overrides(args),
        input=size,
        watch=console.progress,
        **options,
    ) as stream:
        if target.table is not None:
            console.print_diagnostics(stream.notes)
            stream.write(target.table, target.table_format, resume=resume, force=force)
            console.print_note(stream.summary)
        else:
            _print(console, stream, target)
        console.print_diagnostics(stream.warnings)
        if stream.placement:
            console.print_note(stream.placement)
    return stream.status


def _engine(name: str | None, options: dict[str, str]) -> Any:
    if name is None:
        return None
    from archdsl.prediction.ray_engine import RayEngine

    return RayEngine.from_texts(options)


def _print(console: Console, stream: PredictStream, target: Destination) -> None:
    """Prints rows to standard output as they come; for a reader, also their diagnostics to standard error."""
    from archdsl.prediction.result import text_of
    from archdsl.prediction.tables import TABLES, json_of

    if target.table_format is not None:
        console.print_diagnostics(stream.notes)
        for piece in TABLES[target.table_format](stream, stream.columns):
            console.write_output(piece.decode())
        console.print_note(stream.summary)
        return
    rows = _told(console, stream)
    for text in json_of(stream.info, rows) if target.format == "json" else text_of(stream.info, rows, console.style()):
        console.write_output(text)


def _told(console: Console, rows: PredictStream) -> Iterator[Row]:
    from archdsl.diagnostics import escape_control
    from archdsl.prediction.result import Prediction, shown_name

    notes = rows.notes
    for row in rows:
        if isinstance(row, Prediction):
            console.print_diagnostics((*notes, *row.notes))
            notes = ()
        elif row.skipped:
            console.print_note(escape_control(f"skipped {shown_name(row.image)}: {row.skipped}"))
        else:
            console.print_diagnostics(row.problems)
        yield row
