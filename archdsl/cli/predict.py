"""`archdsl predict`: run a network on images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    Range,
    arg_option,
    color_option,
    force_option,
    format_option,
    half_option,
    input_option,
    weights_option,
)

if TYPE_CHECKING:
    from archdsl.backends.onnx.half_precision import Precision
    from archdsl.runtime.session import Device


@click.command("predict")
@click.argument("model", metavar="SPEC|MODEL.onnx")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@weights_option
@half_option
@click.option("--seed", type=Range(0, 2**63 - 1), help="Seed of random weights. Default: 0.")
@click.option("--top", type=Range(1, 1000), default=5, show_default=True, help="Number of classes to print.")
@click.option(
    "--device",
    type=Choice(["auto", "cpu", "cuda", "tensorrt"]),
    default="auto",
    show_default=True,
    help="Device. auto: a GPU if one works.",
)
@click.option("-o", "--output", metavar="FILE", help="Write the output image to FILE, or several to a folder.")
@click.option(
    "--stretch", is_flag=True, help="Map the smallest output value to black, the largest to white. Default: 0 and 1."
)
@arg_option
@input_option
@force_option
@format_option("text", "json")
@color_option
@click.pass_obj
def command(
    console: Console,
    model: str,
    images: tuple[str, ...],
    weights: str | None,
    precision: Precision,
    seed: int | None,
    top: int,
    device: Device,
    output: str | None,
    stretch: bool,
    args: dict[str, str],
    size: str | None,
    force: bool,
    format: str,
) -> int:
    """Run a network on images with ONNX Runtime; needs no torch.

    Preprocesses images as the spec, or the model's metadata, defines. Prints the most likely classes, or writes the
    image that the network outputs. A SPEC is compiled first; without --weights, its weights are random.
    """
    import archdsl
    from archdsl.diagnostics import json_visible
    from archdsl.spec.open import parse_overrides

    result = archdsl.predict(
        model,
        images,
        top=top,
        weights=weights,
        seed=seed,
        precision=precision,
        device=device,
        output=output,
        folder=".",
        stretch=stretch,
        force=force,
        args=parse_overrides(args),
        input=size,
        watch=console.progress,
    )
    console.print_diagnostics(result.diagnostics)
    if format == "json":
        console.write_output(json_visible(json.dumps(result.data(), indent=2, ensure_ascii=False) + "\n"))
    else:
        console.write_output(result.text(console.style()))
    return result.status
