"""`archdsl verify`: what was made of a network, held against it node by node."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, format_option, input_option

if TYPE_CHECKING:
    from archdsl.backends.weights import Weights
    from archdsl.graph import Graph
    from archdsl.network import Network
    from archdsl.runtime.model import ModelFacts


@dataclass(slots=True)
class Job:
    """What is verified: the network, its numbers, and the file, if there is one. `graph` is what the judge computes:
    the network, or, where only folded numbers are known, what the passes made of it (`whole` false)."""

    net: Network
    graph: Graph
    weights: Weights
    model: Path | None
    facts: ModelFacts | None
    seed: int
    batch: int
    whole: bool = True


@click.command("verify")
@click.argument("given", metavar="[SPEC] [MODEL.onnx]", nargs=-1, required=True)
@click.option("--weights", metavar="FILE", help="Its weights: .safetensors, or torch's .pth.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="For the input, and for random weights (0).")
@click.option("--batch", type=click.IntRange(1, 1024), help="How many inputs at once (1).")
@click.option("--no-write", is_flag=True, help="Leave the file as it is: no certificate.")
@click.option("--renew", is_flag=True, help="Replace a certificate that no longer matches.")
@click.option("--all", "every", is_flag=True, help="A line for every node.")
@arg_option
@input_option
@format_option("text", "json")
@color_option
@click.pass_obj
def command(
    console: Console,
    given: tuple[str, ...],
    weights: str | None,
    seed: int | None,
    batch: int | None,
    no_write: bool,
    renew: bool,
    every: bool,
    args: dict[str, str],
    size: str | None,
    format: str,
) -> int:
    """The module, its printed source and the ONNX file held against a judge that computes every node in float64.

    Each node of each must lie within the bound that rounding gets (docs/verify.md); exits with 1 where one does not. A
    file that passes carries the result as a certificate, which `archdsl verify MODEL.onnx` repeats.
    """
    from archdsl.verification.job import as_json, as_text, certify, open_job, problems, run

    spec, model = _split(given)
    if spec is None and args:
        raise click.UsageError("a compiled model is as it is: -a goes with a SPEC")
    opened, certificate = open_job(spec, model, weights, seed, batch, args, size)
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        report = run(console, opened, Path(folder))
    wrong = problems(opened, report, certificate, renew)
    written = False
    if opened.model is not None and not no_write and report.fine and (certificate is None or renew):
        certify(opened, report)
        written = True
    console.give(
        as_json(opened, report, certificate, written)
        if format == "json"
        else as_text(opened, report, certificate, written, every, console.style())
    )
    console.tell(wrong)
    return int(bool(wrong))


def _split(given: tuple[str, ...]) -> tuple[str | None, Path | None]:
    models = [word for word in given if word.lower().endswith(".onnx")]
    specs = [word for word in given if word not in models]
    if len(models) > 1 or len(specs) > 1:
        raise click.UsageError("one SPEC and one MODEL.onnx, or either")
    return (specs[0] if specs else None), (Path(models[0]) if models else None)
