"""`archdsl compile`: an ONNX file, PyTorch source, or weights, made of a spec."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

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
    spec_argument,
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
    default=next(iter(TARGETS)),
    show_default=True,
    help=f"{', '.join(f'{name}: {target.about}' for name, target in TARGETS.items())}.",
)
@click.option("--all-targets", is_flag=True, help="All of them, with the same weights; -o then names a folder.")
@click.option("--weights", metavar="FILE", help="Weights to put in: .safetensors, or torch's .pth.")
@click.option(
    "--reinit", metavar="PATTERN", multiple=True, help="Of FILE's tensors, start these afresh: 'fc.*'. May be repeated."
)
@click.option("--seed", type=Range(0, 2**63 - 1), default=0, help="Where random numbers start from.")
@click.option("-o", "--output", metavar="FILE", help="Default: NAME.onnx, .py or .safetensors here; - is stdout.")
@click.option("--external-data", is_flag=True, default=None, help="ONNX weights in a file beside it, as from 2 GB on.")
@click.option(
    "--value-info", is_flag=True, help="In an ONNX file the shape of every value, for viewers such as Netron."
)
@click.option(
    "--free-sizes/--fixed-sizes",
    default=None,
    help="Whether an ONNX file takes images of any size; fixed runs faster. Default: fixed where classes come out.",
)
@click.option(
    "-O0", "--O0", "untouched", is_flag=True, help="No passes over an ONNX file: a state_dict's names, one to one."
)
@disable_option
@click.option(
    "--precision",
    type=Choice(["fp32", "fp16", "bf16", "int8"]),
    default="fp32",
    show_default=True,
    help="What an ONNX file computes in; what enters and leaves it is fp32.",
)
@click.option("--calibrate", metavar="DIR", help="Images for int8: some hundred such as the network will see.")
@click.option("--strict", is_flag=True, help="Odd weights (not finite, all zero) are an error, not a warning.")
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
    target: TargetName,
    all_targets: bool,
    output: str | None,
    untouched: bool,
    disable: tuple[str, ...],
    format: str,
    **options: Any,
) -> None:
    """An ONNX file, PyTorch source, or weights, made of a network.

    Without --weights the numbers are random, and every file says so. A file of ours is replaced, any other only with
    --force; it is written whole or not at all.
    """
    from archdsl.network import open_network
    from archdsl.passes.optimise import passes_without

    targets: tuple[TargetName, ...] = tuple(TARGETS) if all_targets else (target,)
    options["passes"] = () if untouched else passes_without(disable) if disable else None
    if output == "-":
        _check_stdout(targets, options["external_data"])
        options |= {"external_data": False, "progress": None}
        net = open_network(spec, args, size)
        compiled = console.give_file(lambda path: net.compile(path, target, **options))
        console.tell(compiled.notes)
        return
    net = open_network(spec, args, size)
    compiled = net.compile(output, targets, **options, progress=console.progress)
    console.tell(compiled.notes)
    console.give(_as_json(compiled, options["seed"]) if format == "json" else _as_text(console, compiled))


def _check_stdout(targets: tuple[TargetName, ...], external_data: bool | None) -> None:
    """Raises click's UsageError for files that standard output cannot take."""
    if len(targets) > 1 or external_data:
        raise click.UsageError("only one file fits standard output")
    if TARGETS[targets[0]].stores_weights and sys.stdout.isatty():
        raise click.UsageError("a binary file does not belong on a terminal: name a file, or pipe it")


def _as_text(console: Console, compiled: Compiled) -> str:
    lines = []
    for target in dict.fromkeys(file.target for file in compiled.files):
        lines += [_line(console, file) for file in compiled.files if file.target == target]
        if TARGETS[target].stores_weights:
            lines.append(f"  weights  {compiled.weights}{': NOT trained' if compiled.random else ''}")
    if compiled.difference is not None:
        lines.append(f"  int8     {_in_words(compiled.difference)}")
    return "\n".join(lines) + "\n"


def _line(console: Console, file: CompiledFile) -> str:
    from archdsl.diagnostics import escape_control
    from archdsl.report.table import in_bytes

    return f"wrote {console.style().paint('name', escape_control(str(file.path)))}  {in_bytes(file.size)}"


def _in_words(difference: Difference) -> str:
    """What int8 changes."""
    images = difference.images
    text = f"beside fp32 on {images} image{'s' * (images != 1)}: cosine {difference.cosine:.5f} (least {difference.least:.5f})"
    if difference.agreement is None:
        return text
    text += f", the same best class on {round(difference.agreement * images)}"
    if difference.classes != 1 or images == 1:
        return text
    return f"{text}\n           fp32 finds the same class in all of them: that it stays the same says little"


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
