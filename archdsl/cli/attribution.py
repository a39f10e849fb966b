"""The options of `archdsl predict --explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archdsl.cli import complete
from archdsl.cli.options import Choice

if TYPE_CHECKING:
    from archdsl.prediction.destination import Destination
    from archdsl.prediction.stream import PredictStream

_NAMES = ("method", "target", "layer", "window", "stride", "baseline")


def explain_options(command: Any) -> Any:
    """Add the options that explain predictions by maps of the input."""
    options = (
        click.option(
            "--explain",
            "method",
            type=Choice(["cam", "gradcam", "occlusion"]),
            help="Write a map of the input that explains a class, as PNG and NPZ, to the folder OUT (or --pictures).",
        ),
        click.option("--target", metavar="CLASS", help="Class to explain, a number or a label. Default: the best."),
        click.option(
            "--layer",
            metavar="PATH",
            shell_complete=complete.blocks,
            help="Node or block whose features gradcam weighs. Default: the last.",
        ),
        click.option("--window", metavar="SIZE", callback=_sizes, help="Window of occlusion: 16, or 16x24."),
        click.option("--stride", metavar="SIZE", callback=_sizes, help="Step of the window. Default: half of it."),
        click.option("--baseline", type=float, help="Value in the window, after preprocessing. Default: 0."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _sizes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | tuple[int, ...] | None:
    if value is None:
        return None
    words = value.split("x")
    if not all(word.isascii() and word.isdigit() and len(word) < 8 for word in words):
        raise click.BadParameter(f"{value[:80]!r} is not a size such as 16 or 16x24", ctx, param)
    numbers = tuple(map(int, words))
    return numbers if len(numbers) > 1 else numbers[0]


def open_stream(place: Destination, model: str, images: tuple[str, ...], /, **options: Any) -> PredictStream:
    """Return the stream of predictions; with a method among the options it also writes maps.

    Raises E0003 for options that need a method, and for a method without a folder.
    """
    import archdsl
    from archdsl.diagnostics.arguments import conflict

    given = {name: value for name in _NAMES if (value := options.pop(name)) is not None}
    if not given:
        return archdsl.predict_stream(model, images, output=place.output, folder=place.folder, **options)
    if "method" not in given:
        raise conflict(f"`{next(iter(given))}` applies to a map of the input", help="add `--explain METHOD`")
    folder = place.output or place.folder
    if folder is None:
        raise conflict("`explain` needs a folder for the maps", help="name one with `--pictures`")
    return archdsl.attribute_stream(model, images, folder, **given, **options)
