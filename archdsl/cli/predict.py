"""`archdsl predict`: a network run on images."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from archdsl.cli.console import Console
from archdsl.cli.options import arg_option, color_option, force_option, format_option, half_option, input_option

if TYPE_CHECKING:
    from archdsl.backends.onnx.types import Precision
    from archdsl.diagnostics import Diagnostic
    from archdsl.prediction.predict import Prediction, Predictor

Result: TypeAlias = "tuple[Prediction, tuple[str, str] | None]"
"""What came out for an image; if that is one, its path, and how values became pixels."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@click.command("predict")
@click.argument("model", metavar="SPEC|MODEL.onnx")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--weights", metavar="FILE", help="Weights for SPEC: .safetensors, or torch's .pth.")
@half_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Where random weights start from.")
@click.option("--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many classes to tell.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "tensorrt"]),
    default="auto",
    show_default=True,
    help="Where to run; one that is asked for and not there is an error.",
)
@click.option("-o", "--output", metavar="FILE", help="Where the output is an image: its file, or a folder for several.")
@click.option("--stretch", is_flag=True, help="Its least value is black, its largest white; else 0 and 1 are.")
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
    seed: int,
    top: int,
    device: str,
    output: str | None,
    stretch: bool,
    args: dict[str, str],
    size: str | None,
    force: bool,
    format: str,
) -> int:
    """Run a network on images with ONNX Runtime; needs no torch.

    Images are prepared as the spec, or the file's metadata, says. Prints the most likely classes, or writes the image
    that comes out. A SPEC is compiled first, without --weights at random.
    """
    compiled = model.lower().endswith(".onnx")
    if compiled and (weights or args or size or precision != "fp32"):
        raise click.UsageError("a compiled model is as it is: --weights, --precision, -a and --input go with a SPEC")
    if output is not None and len(images) > 1 and not os.path.isdir(output):
        raise click.UsageError("for several images -o names a folder, which must exist")
    if output is not None and len(images) == 1 and not os.path.isdir(output) and _suffix(output) not in PICTURES:
        raise click.UsageError(f"-o names an image: one of {', '.join(PICTURES)}")
    with _opened(console, model, compiled, weights, seed, precision, args, size, device) as predictor:
        draw = Draw(output, stretch, force, (model, *images))
        results, status = _results(console, predictor, images, top, draw)
        if results:
            _warn(console, predictor)
    if results or format == "json":
        console.give(_as_json(predictor, results) if format == "json" else _as_text(console, predictor, results))
    return status


@dataclass(frozen=True, slots=True)
class Draw:
    """Where output images go, and how; `inputs` are files that none may overwrite."""

    output: str | None
    stretch: bool
    force: bool
    inputs: tuple[str, ...]


def _results(
    console: Console, predictor: Predictor, images: tuple[str, ...], top: int, draw: Draw
) -> tuple[list[Result], int]:
    """Every image's result. One that cannot be read is told of, and the others are looked at all the same."""
    from archdsl.diagnostics import ArchError

    results: list[Result] = []
    status = 0
    progress = console.progress("predicting") if len(images) > 1 else None
    for number, image in enumerate(images):
        try:
            made = predictor.run(image, top)
            console.tell(made.notes)
            results.append((made, _drawn(made, predictor, image, draw)))
        except ArchError as problem:
            if any(d.code not in ("E0804", "E0806") for d in problem.diagnostics):
                raise
            console.tell(problem.diagnostics)
            status = max(status, problem.status)
        if progress is not None:
            progress(number + 1, len(images))
    return results, status


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


@contextmanager
def _opened(
    console: Console,
    model: str,
    compiled: bool,
    weights: str | None,
    seed: int,
    precision: Precision,
    args: dict[str, str],
    size: str | None,
    device: str,
) -> Iterator[Predictor]:
    from archdsl.packages import require_package

    require_package("numpy")
    require_package("PIL")
    from archdsl.prediction.predict import open_predictor
    from archdsl.runtime.session import require

    require(device)  # type: ignore[arg-type]  # what cannot run need not be compiled first
    if compiled:
        yield open_predictor(model, device)  # type: ignore[arg-type]
        return
    from archdsl.library.check import label_note
    from archdsl.network import open_network

    net = open_network(model, args, size)
    _check_input(net)
    numbers = net.weights(weights, seed)
    console.tell((*label_note(net), *numbers.notes))
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        path = Path(folder) / f"{net.name}.onnx"
        net.to_onnx(path, numbers, precision=precision, progress=console.progress(f"compiling {net.name}"))
        yield open_predictor(path, device)  # type: ignore[arg-type]


def _check_input(net: Any) -> None:
    from archdsl.diagnostics import error

    if len(net.graph.inputs) != 1:
        raise error("E0806", f"`{net.name}` has several inputs: an image is one")
    shape = net.input
    if net.recipe is None or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise error("E0806", f"the input of `{net.name}` has {shape[0]} channels, an image 1 or 3")


def _warn(console: Console, predictor: Predictor) -> None:
    from archdsl.diagnostics import Diagnostic

    told: list[Diagnostic] = []
    if predictor.session.note:
        told.append(Diagnostic("N0803", predictor.session.note, severity="note"))
    if predictor.random:
        told.append(
            Diagnostic(
                "W0808",
                f"the weights of `{predictor.name}` are random: what follows means nothing",
                severity="warning",
                help="give trained ones: `--weights FILE`",
            )
        )
    console.tell(told)


def _drawn(made: Prediction, predictor: Predictor, image: str, draw: Draw) -> tuple[str, str] | None:
    """Writes the image that came out: its path, and how values became pixels."""
    if made.picture is None:
        if draw.output is not None:
            from archdsl.diagnostics import error

            raise error("E0806", f"`{predictor.name}` gives no image: leave out -o", status=2)
        return None
    from archdsl.files.atomic import atomic_write
    from archdsl.files.marks import ours
    from archdsl.prediction.predict import picture

    model = re.sub(r"[^A-Za-z0-9_-]+", "_", predictor.name)[:80]  # a file may say anything of itself
    name = f"{Path(image).stem}.{model}.png"
    folder = Path(draw.output or "")
    path = folder / name if draw.output is None or os.path.isdir(folder) else folder
    data, told = picture(made.picture, predictor.recipe.scale, draw.stretch, _suffix(path.name))
    with atomic_write(path, inputs=draw.inputs, force=draw.force, mine=ours("picture")) as file:
        file.write(data)
    return str(path), told


# --- telling ---------------------------------------------------------------------------------------------


def _as_text(console: Console, predictor: Predictor, results: list[Result]) -> str:
    from archdsl.diagnostics import escape_control

    style = console.style()
    lines = []
    for made, drawn in results:
        lines.append(style.paint("name", escape_control(made.image)))
        lines += [f"  {escape_control(line)}" for line in _guesses(made)]
        if drawn is not None and made.picture is not None:
            channels, height, width = made.picture.shape
            what = "grey" if channels == 1 else "colour"
            lines += [f"  wrote {escape_control(drawn[0])}  {width} x {height}, {what}", f"  {drawn[1]}"]
        for out in made.outputs:
            shape = " x ".join(map(str, out.shape))
            lines.append(
                f"  {escape_control(out.name[:80])}  {shape}, from {out.least:.4g} to {out.most:.4g}, mean {out.mean:.4g}"
            )
        lines.append("")
    session = predictor.session
    times = sorted(made.latency_ms for made, _ in results)
    weights = f", weights {predictor.weights}" if predictor.weights else ""
    took = f"{times[len(times) // 2]:.1f} ms" + (" an image" if len(times) > 1 else "")
    precision = f", {predictor.precision}" if predictor.precision != "fp32" else ""
    lines.append(style.paint("quiet", escape_control(f"{predictor.name}{precision}{weights}")))
    lines.append(style.paint("quiet", f"ran on {session.provider} (onnxruntime {session.version}), {took}"))
    return "\n".join(lines) + "\n"


def _guesses(made: Prediction) -> list[str]:
    if not made.guesses:
        return []
    names = [g.label if g.label is not None else f"class {g.index}" for g in made.guesses]
    width, digits = max(map(len, names)), max(len(str(g.index)) for g in made.guesses)
    lines = []
    for number, (guess, name) in enumerate(zip(made.guesses, names, strict=True), 1):
        value = f"{100 * guess.value:6.2f} %" if made.measure == "probability" else f"{guess.value:>10.4g}"
        index = f"{guess.index:>{digits}}  " if guess.label is not None else ""
        lines.append(f"{number:>2}  {index}{name:<{width}}  {value}" + (f"  {made.measure}" if number == 1 else ""))
    return lines


def _as_json(predictor: Predictor, results: list[Result]) -> str:
    import json

    from archdsl.diagnostics import json_visible

    session = predictor.session
    report = {
        "model": predictor.name,
        "precision": predictor.precision,
        "weights": predictor.weights or None,
        "random_weights": predictor.random,
        "provider": session.provider,
        "onnxruntime": session.version,
        "images": [_facts(made, drawn) for made, drawn in results],
    }
    return json_visible(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def _facts(made: Prediction, drawn: tuple[str, str] | None) -> dict[str, Any]:
    outputs = {o.name: {"shape": o.shape, "min": o.least, "max": o.most, "mean": o.mean} for o in made.outputs}
    return {
        "image": made.image,
        "measure": made.measure,
        "top": [{"index": g.index, "label": g.label, "value": g.value} for g in made.guesses],
        "picture": None if drawn is None else {"path": drawn[0], "pixels": drawn[1]},
        "outputs": outputs,
        "latency_ms": round(made.latency_ms, 3),
        "notes": [note.message for note in made.notes],
    }
