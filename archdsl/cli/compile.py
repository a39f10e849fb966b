"""`archdsl compile`: write an ONNX file, PyTorch source or weights."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from archdsl.backends.onnx.opsets import DEFAULT, NEWEST, OLDEST
from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    Range,
    arg_option,
    color_option,
    disable_option,
    force_option,
    format_option,
    input_option,
    reading_options,
    spec_argument,
    weights_option,
)
from archdsl.compilation.targets import TARGETS, TargetName

if TYPE_CHECKING:
    from archdsl.compilation.write import Compiled, CompiledFile
    from archdsl.runtime.quantise import Difference


@click.command("compile")
@spec_argument
@click.option(
    "--to",
    "target",
    type=Choice(list(TARGETS)),
    help=f"{', '.join(f'{name}: {target.about}' for name, target in TARGETS.items())}. "
    "Default: by FILE's ending, else onnx.",
)
@click.option("--all-targets", is_flag=True, help="Write all targets, with the same weights; -o names a folder.")
@weights_option
@reading_options
@click.option(
    "--reinit",
    metavar="PATTERN",
    multiple=True,
    help="Initialise these tensors instead of reading them: 'fc.*'. May be repeated.",
)
@click.option(
    "--inflate",
    type=Choice(["mean", "centre"]),
    help="Inflate filters of a network for images to the axes of SPEC: repeated and divided, or the middle of zeros.",
)
@click.option("--seed", type=Range(0, 2**63 - 1), default=0, show_default=True, help="Seed of random weights.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete.files,
    help="Default: NAME.onnx, .py or .safetensors here; - means standard output.",
)
@click.option(
    "--external-data", is_flag=True, default=None, help="Write ONNX weights to a second file. Always from 2 GB on."
)
@click.option(
    "--value-info", is_flag=True, help="Add the shape of every value to an ONNX file, for viewers such as Netron."
)
@click.option("--cam", is_flag=True, help="Add class activation maps to an ONNX file, as its last output.")
@click.option(
    "--free-sizes/--fixed-sizes",
    default=None,
    help="Input sizes of an ONNX file: any, or only one, which runs faster. Default: fixed for classifiers.",
)
@click.option(
    "-O0",
    "--O0",
    "untouched",
    is_flag=True,
    help="Run no passes: the tensors of an ONNX file keep the names of the state_dict.",
)
@disable_option
@click.option(
    "--precision",
    type=Choice(["fp32", "fp16", "bf16", "int8"]),
    default="fp32",
    show_default=True,
    help="Number format of an ONNX file. Inputs and outputs are always fp32.",
)
@click.option(
    "--calibrate",
    metavar="DIR",
    shell_complete=complete.folders,
    help="Folder of some hundred typical inputs for int8: images, or .npy arrays.",
)
@click.option(
    "--opset",
    type=Range(OLDEST, NEWEST),
    help=f"Version of ONNX's ops, for an older runtime; the IR version follows it. Default: {DEFAULT}.",
)
@click.option(
    "--embed-preprocess",
    is_flag=True,
    help="Put resize, scaling and normalisation into an ONNX file, which then reads raw pixels: uint8, N x H x W x 3.",
)
@click.option("--strict", is_flag=True, help="Report suspicious weights (not finite, all zero) as errors.")
@arg_option
@input_option
@force_option
@format_option("text", "json")
@color_option
@click.pass_obj
def command(
    console: Console,
    /,
    spec: str,
    args: dict[str, str],
    size: str | None,
    target: TargetName | None,
    all_targets: bool,
    output: str | None,
    untouched: bool,
    disable: tuple[str, ...],
    format: str,
    **options: Any,
) -> None:
    """Write an ONNX file, PyTorch source or weights of a network.

    Without --weights the weights are random, and every file states that. A file written by archdsl is replaced, any
    other file only with --force. Files are written completely or not at all.
    """
    from archdsl.network import open_network
    from archdsl.passes.optimise import passes_without

    targets = _targets(output, target, all_targets)
    options["passes"] = () if untouched else passes_without(disable) if disable else None
    if output == "-":
        _check_stdout(targets, options["external_data"])
        options |= {"external_data": False, "progress": None}
        net = open_network(spec, args, size)
        compiled = console.stream_file(lambda path: net.compile(path, targets, **options))
        console.print_diagnostics(compiled.notes)
        return
    net = open_network(spec, args, size)
    compiled = net.compile(output, targets, **options, progress=console.progress)
    console.print_diagnostics(compiled.notes)
    if format == "json":
        console.write_output(_as_json(compiled, options["seed"]))
    else:
        console.print_note(_as_text(compiled))


def _targets(output: str | None, target: TargetName | None, every: bool) -> tuple[TargetName, ...]:
    """The targets to write: all, or `target`, or by default the one of the ending of `output`."""
    from archdsl.compilation.targets import target_of

    return tuple(TARGETS) if every else (target_of(output, target),)


def _check_stdout(targets: tuple[TargetName, ...], external_data: bool | None) -> None:
    """Raise click's UsageError for several files, or a binary file on a terminal."""
    if len(targets) > 1 or external_data:
        raise click.UsageError("cannot write several files to standard output: name a file or folder with -o")
    if TARGETS[targets[0]].stores_weights and sys.stdout.isatty():
        raise click.UsageError("cannot write a binary file to a terminal: name a file with -o, or use a pipe")


def _as_text(compiled: Compiled) -> str:
    lines = []
    for target in dict.fromkeys(file.target for file in compiled.files):
        lines += [_line(file) for file in compiled.files if file.target == target]
        if TARGETS[target].stores_weights:
            lines.append(f"  weights  {compiled.weights}{': NOT trained' if compiled.random else ''}")
    if compiled.difference is not None:
        lines.append(f"  int8     {_difference_text(compiled.difference)}")
    return "\n".join(lines)


def _line(file: CompiledFile) -> str:
    from archdsl.diagnostics import escape_control
    from archdsl.report.table import in_bytes

    return f"wrote {escape_control(str(file.path))}  {in_bytes(file.size)}"


def _difference_text(difference: Difference) -> str:
    """The difference between int8 and fp32 as text."""
    inputs = difference.images
    text = f"compared with fp32 on {inputs} input{'s' * (inputs != 1)}: "
    text += f"cosine {difference.cosine:.5f} (least {difference.least:.5f})"
    if difference.agreement is None:
        return text
    text += f", same top-1 class on {round(difference.agreement * inputs)}"
    if difference.classes != 1 or inputs == 1:
        return text
    return f"{text}\n           fp32 has the same top-1 class for all inputs, so this agreement means little"


def _as_json(compiled: Compiled, seed: int) -> str:
    import json

    from archdsl.diagnostics.machine import to_json

    files = [
        {"target": file.target, "path": str(file.path), "bytes": file.size, "sha256": file.sha256}
        for file in compiled.files
    ]
    stored = compiled.weights is not None
    weights = {"source": compiled.weights, "random": compiled.random, "seed": seed} if stored else None
    report: dict[str, Any] = {
        "name": compiled.name,
        "spec_sha256": compiled.fingerprint,
        "files": files,
        "weights": weights,
    }
    if compiled.precision != "fp32":
        report["precision"] = compiled.precision
    if compiled.difference is not None:
        report["int8"] = asdict(compiled.difference)
    return json.dumps({**report, "notes": to_json(compiled.notes)}, indent=2) + "\n"
