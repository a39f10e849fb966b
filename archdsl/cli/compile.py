"""`archdsl compile`: an ONNX file, PyTorch source, or weights, made of a spec."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from archdsl.cli.console import Console, writable_stdout
from archdsl.cli.options import (
    arg_option,
    color_option,
    disable_option,
    force_option,
    format_option,
    input_option,
    spec_argument,
)
from archdsl.files.marks import has_mark

if TYPE_CHECKING:
    from archdsl.backends.onnx.types import Precision
    from archdsl.backends.weights import Array, Weights
    from archdsl.cli.console import Progress
    from archdsl.diagnostics import Diagnostic
    from archdsl.files.atomic import WrittenFile
    from archdsl.network import Network
    from archdsl.runtime.quantise import Difference

SUFFIXES = {"onnx": ".onnx", "torch": ".py", "weights": ".safetensors"}


@dataclass(frozen=True, slots=True)
class Job:
    """What to make of a network, and where."""

    net: Network
    weights: Weights | None
    """None where nothing that is made holds numbers."""
    external_data: bool | None
    value_info: bool
    free_sizes: bool | None
    force: bool
    inputs: tuple[str, ...]
    passes: tuple[str, ...] = ()
    """Those that an ONNX file goes through."""
    precision: Precision | Literal["int8"] = "fp32"
    images: tuple[Path, ...] = ()
    """What int8 is calibrated on."""
    differences: list[Difference] = field(default_factory=list)
    """What int8 was found to change."""


@click.command("compile")
@spec_argument
@click.option(
    "--to",
    "target",
    type=click.Choice(list(SUFFIXES)),
    default="onnx",
    show_default=True,
    help="An ONNX file, PyTorch source, or a safetensors file.",
)
@click.option("--all-targets", is_flag=True, help="All three, with the same weights; -o then names a folder.")
@click.option("--weights", metavar="FILE", help="Weights to put in: .safetensors, or torch's .pth.")
@click.option(
    "--reinit", metavar="PATTERN", multiple=True, help="Of FILE's tensors, start these afresh: 'fc.*'. May be repeated."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Where random numbers start from.")
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
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
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
    spec: str,
    target: str,
    all_targets: bool,
    weights: str | None,
    reinit: tuple[str, ...],
    seed: int,
    output: str | None,
    external_data: bool | None,
    value_info: bool,
    free_sizes: bool | None,
    untouched: bool,
    disable: tuple[str, ...],
    precision: Precision | Literal["int8"],
    calibrate: str | None,
    strict: bool,
    args: dict[str, str],
    size: str | None,
    force: bool,
    format: str,
) -> None:
    """An ONNX file, PyTorch source, or weights, made of a network.

    Without --weights the numbers are random, and every file says so. A file of ours is replaced, any other only with
    --force; it is written whole or not at all.
    """
    targets = list(SUFFIXES) if all_targets else [target]
    _check_usage(targets, weights, reinit, output, external_data)
    _check_onnx_usage(
        "onnx" in targets,
        untouched or bool(disable),
        precision,
        calibrate,
        external_data,
        value_info,
        free_sizes is not None,
    )
    images = _images(calibrate)
    from archdsl.library.check import label_note
    from archdsl.network import open_network

    net = open_network(spec, args, size)
    net.recipe  # noqa: B018 - what is wrong with the preprocessing is said before anything is made
    console.tell((*net.graph.notes, *label_note(net)))
    numbers = None if targets == ["torch"] else _numbers(console, net, weights, seed, reinit, strict)
    job = Job(
        net,
        numbers,
        external_data,
        value_info,
        free_sizes,
        force,
        (*net.files, *([weights] if weights else [])),
        _passes(untouched, disable),
        precision,
        images,
    )
    if output == "-":
        _to_stdout(console, job, targets[0])
        return
    made = _make(console, job, _places(net, targets, output, all_targets))
    random = numbers is not None and numbers.source.startswith("random") and net.starts_at_random
    console.give(_as_json(job, made, seed, random) if format == "json" else _as_text(console, job, made, random))


def _check_usage(
    targets: Sequence[str], weights: str | None, reinit: Sequence[str], output: str | None, external_data: bool | None
) -> None:
    if reinit and not weights:
        raise click.UsageError("--reinit chooses among the tensors of --weights FILE, which is missing")
    if weights and targets == ["torch"]:
        raise click.UsageError("PyTorch source holds no numbers: --weights goes with --to onnx or --to weights")
    if external_data and "onnx" not in targets:
        raise click.UsageError("--external-data is for ONNX files")
    if output == "-" and (len(targets) > 1 or external_data):
        raise click.UsageError("only one file fits standard output")
    if output == "-" and targets != ["torch"] and sys.stdout.isatty():
        raise click.UsageError("a binary file does not belong on a terminal: name a file, or pipe it")


def _check_onnx_usage(
    wanted: bool,
    passes: bool,
    precision: str,
    calibrate: str | None,
    external_data: bool | None,
    value_info: bool,
    sizes: bool,
) -> None:
    if not wanted and (passes or precision != "fp32" or value_info or sizes):
        raise click.UsageError(
            "-O0, --disable, --precision, --value-info, --free-sizes and --fixed-sizes are for ONNX files"
        )
    if precision == "int8" and calibrate is None:
        raise click.UsageError("int8 needs to see what comes: --calibrate DIR, a folder of some hundred images")
    if calibrate is not None and precision != "int8":
        raise click.UsageError("--calibrate goes with --precision int8")
    if precision == "int8" and external_data:
        raise click.UsageError("an int8 file holds its own weights: leave out --external-data")
    if precision == "int8" and value_info:
        raise click.UsageError("an int8 file is ONNX Runtime's own, with no shapes: leave out --value-info")


def _images(folder: str | None) -> tuple[Path, ...]:
    if folder is None:
        return ()
    from archdsl.packages import require_package

    require_package("onnxruntime", "E0802")
    from archdsl.runtime.quantise import calibration_images

    return calibration_images(Path(folder))


def _passes(untouched: bool, disable: Sequence[str]) -> tuple[str, ...]:
    from archdsl.passes.optimise import PASSES

    return () if untouched else tuple(name for name in PASSES if name not in disable)


def _numbers(
    console: Console, net: Network, weights: str | None, seed: int, reinit: Sequence[str], strict: bool
) -> Weights:
    from archdsl.diagnostics import ArchError

    numbers = net.weights(weights, seed, reinit)
    if strict and any(note.severity == "warning" for note in numbers.notes):
        raise ArchError(replace(n, severity="error") if n.severity == "warning" else n for n in numbers.notes)
    console.tell(numbers.notes)
    return numbers


def _places(net: Network, targets: Sequence[str], output: str | None, all_targets: bool) -> dict[str, Path]:
    """A path for each target: NAME with its ending, in the folder given with --all-targets, else here."""
    if output is None or all_targets:
        folder = Path(output or "")
        return {target: folder / f"{net.name}{SUFFIXES[target]}" for target in targets}
    return {targets[0]: Path(output)}


# --- making ----------------------------------------------------------------------------------------------


def _make(console: Console, job: Job, places: dict[str, Path]) -> dict[str, tuple[WrittenFile, ...]]:
    """Writes every file. What this run made is taken away again where a later file fails."""
    from archdsl.files.atomic import check_target

    fresh = [path for path in places.values() if not os.path.lexists(path)]
    for target, path in places.items():
        check_target(path, inputs=job.inputs, force=job.force, replaceable=has_mark(target))
    made: dict[str, tuple[WrittenFile, ...]] = {}
    try:
        for target, path in places.items():
            made[target] = _write(console, job, target, path)
    except BaseException:
        for written in (w for files in made.values() for w in files if files[0].path in fresh):
            with suppress(OSError):
                written.path.unlink()
        raise
    return made


def _write(console: Console, job: Job, target: str, path: Path) -> tuple[WrittenFile, ...]:
    if target == "torch":
        return (_write_source(job, path),)
    assert job.weights is not None
    if target == "weights":
        from archdsl.backends.weights import save

        weights = _watched(job.weights, console.progress(f"writing {path.name}"))
        return (save(weights, path, job.net.metadata(), inputs=job.inputs, force=job.force),)
    if job.precision == "int8":
        return (_write_int8(console, job, path),)
    progress = console.progress(f"writing {path.name}")
    model = job.net.to_onnx(
        path,
        job.weights,
        passes=job.passes,
        precision=job.precision,
        value_info=job.value_info,
        free_sizes=job.free_sizes,
        external_data=job.external_data,
        force=job.force,
        progress=progress,
    )
    console.tell(model.notes)
    return (model, model.data) if model.data is not None else (model,)


def _write_int8(console: Console, job: Job, path: Path) -> WrittenFile:
    """By way of a file in single precision, which is thrown away."""
    from archdsl.runtime.quantise import about, quantise

    console.tell(about(job.images))
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        single = Path(folder) / "single.onnx"
        model = job.net.to_onnx(single, job.weights, passes=job.passes, free_sizes=job.free_sizes, external_data=False)
        console.tell(model.notes)
        progress = console.progress(f"calibrating on {len(job.images)} images")
        written = quantise(single, job.images, path, inputs=job.inputs, force=job.force, progress=progress)
    job.differences.append(written.difference)
    return written


def _watched(weights: Weights, progress: Progress | None) -> Weights:
    """The weights, telling how far they are read."""
    if progress is None:
        return weights
    from archdsl.backends.weights import TensorEntry, Weights

    done, told = 0, progress

    def make(entry: TensorEntry) -> Array:
        nonlocal done
        array = entry.make()
        done += entry.nbytes
        told(done, weights.nbytes)
        return array

    entries = {key: TensorEntry(e.shape, e.dtype, partial(make, e)) for key, e in weights.entries.items()}
    return Weights(entries, lambda: weights.source, weights.notes)


def _write_source(job: Job, path: Path) -> WrittenFile:
    from archdsl.files.atomic import atomic_write

    text = job.net.to_source()
    with atomic_write(path, inputs=job.inputs, force=job.force, replaceable=has_mark("torch")) as file:
        file.write(text.encode())
    assert file.written is not None
    return file.written


def _to_stdout(console: Console, job: Job, target: str) -> None:
    if target == "torch":
        console.give(job.net.to_source())
        return
    with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
        quiet = Console("never")
        path = Path(folder) / f"model{SUFFIXES[target]}"
        _write(quiet, replace(job, external_data=False), target, path)
        with path.open("rb") as file, writable_stdout():
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


# --- telling ---------------------------------------------------------------------------------------------


def _as_text(console: Console, job: Job, made: dict[str, tuple[WrittenFile, ...]], random: bool) -> str:
    from archdsl.diagnostics import escape_control
    from archdsl.report.table import in_bytes

    style = console.style()
    lines = []
    for target, files in made.items():
        for written in files:
            lines.append(f"wrote {style.paint('name', escape_control(str(written.path)))}  {in_bytes(written.size)}")
        if target != "torch" and job.weights is not None:
            lines.append(f"  weights  {_origin(job, random)}")
        lines += [f"  int8     {_told(one)}" for one in job.differences if target == "onnx"]
    return "\n".join(lines) + "\n"


def _told(found: Difference) -> str:
    """What int8 changes, in words."""
    text = f"beside fp32 on {found.images} image{'s' * (found.images != 1)}: cosine {found.cosine:.5f} (least {found.least:.5f})"
    if found.agreement is None:
        return text
    text += f", the same best class on {round(found.agreement * found.images)}"
    alike = found.classes == 1 and found.images > 1
    return (
        f"{text}\n           fp32 finds the same class in all of them: that it stays the same says little"
        if alike
        else text
    )


def _origin(job: Job, random: bool) -> str:
    assert job.weights is not None
    if random:
        return f"{job.weights.source}: NOT trained"
    return job.net.metadata().get("weights") or job.weights.source


def _as_json(job: Job, made: dict[str, tuple[WrittenFile, ...]], seed: int, random: bool) -> str:
    import json

    from archdsl.diagnostics.machine import to_json

    notes: list[Diagnostic] = [*job.net.graph.notes, *(job.weights.notes if job.weights is not None else ())]
    files: list[dict[str, Any]] = [
        {"target": target, "path": str(w.path), "bytes": w.size, "sha256": w.sha256}
        for target, written in made.items()
        for w in written
    ]
    weights = None if job.weights is None else {"source": _source(job), "random": random, "seed": seed}
    report = {"name": job.net.name, "spec_sha256": job.net.fingerprint, "files": files, "weights": weights}
    if job.precision != "fp32":
        report["precision"] = job.precision
    for one in job.differences:
        report["int8"] = asdict(one)
    return json.dumps({**report, "notes": to_json(notes)}, indent=2) + "\n"


def _source(job: Job) -> str:
    assert job.weights is not None
    return job.net.metadata().get("weights") or job.weights.source
