"""`archdsl bench`: how fast networks run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archdsl.cli.console import Console
from archdsl.cli.options import (
    arg_option,
    color_option,
    force_option,
    format_option,
    half_option,
    input_option,
    output_option,
)

if TYPE_CHECKING:
    from archdsl.backends.onnx.types import Precision
    from archdsl.timing.job import Job
    from archdsl.timing.profile import Profile
    from archdsl.timing.turns import Timing

_MAX_VALUES = 1 << 26
"""Of a model's input, one sample."""
WAYS = ("torch", "channels_last", "compile", "traced", "slimmed", "openvino")


def _batches(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(word) for word in value.split(","))
    except ValueError:
        sizes = (0,)
    if not all(0 < size <= 4096 for size in sizes) or len(set(sizes)) != len(sizes):
        raise click.BadParameter(f"{value[:60]!r} is not a list of sizes from 1 to 4096, e.g. 1,8", ctx, param)
    return sizes


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command("bench")
@click.argument("specs", metavar="SPEC|MODEL.onnx...", nargs=-1, required=True)
@click.option(
    "--batch",
    "batches",
    metavar="N,N...",
    default="1",
    callback=_batches,
    show_default=True,
    help="Samples that are run at once.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "tensorrt"]),
    multiple=True,
    default=["cpu"],
    show_default=True,
    help="Where to run. May be repeated.",
)
@click.option(
    "--against",
    type=click.Choice(WAYS),
    multiple=True,
    help="Another way of running it, timed in turns in the same run. May be repeated.",
)
@click.option("--weights", metavar="FILE", help="Weights: .safetensors, or torch's .pth.")
@half_option
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=3.0, show_default=True, help="For each timing.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Of the processor; by default one a core.")
@click.option(
    "--profile", "profiled", is_flag=True, help="Time by node, and how far each is from what the machine can do."
)
@click.option("--top", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows of the profile.")
@arg_option
@input_option
@format_option("table", "json", "markdown")
@output_option
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    batches: tuple[int, ...],
    device: tuple[str, ...],
    against: tuple[str, ...],
    weights: str | None,
    precision: Precision,
    seconds: float,
    threads: int | None,
    profiled: bool,
    top: int,
    args: dict[str, str],
    size: str | None,
    format: str,
    output: str | None,
    force: bool,
) -> int:
    """How fast networks run: latency, throughput and memory, alone or side by side with other ways of running them.

    Each contestant is a process of its own; they run in turns on the same random images. The time is that of the
    network alone, images ready in memory.
    """
    from archdsl.files.atomic import check_target

    if profiled and (against or device != ("cpu",)):
        raise click.UsageError("--profile looks at one way, on the processor: leave out --against and --device")
    if weights and len(specs) > 1:
        raise click.UsageError("--weights are those of one network: name one SPEC")
    if output not in (None, "-"):
        check_target(output, force=force)
    _require(device, against)
    jobs = Jobs(console, args, size, weights, precision, threads or _cores(), batches, device)
    if profiled:
        text = _profiles(console, jobs, specs, format, top)
        status = 0
    else:
        text, status = _timings(console, jobs, specs, against, seconds, format)
    console.give(text, output, force)
    return status


def _require(devices: Sequence[str], against: Sequence[str]) -> None:
    """Everything that is asked for is there, or said to be missing before any work."""
    from archdsl.packages import require_package

    require_package("numpy")
    require_package("onnx")
    from archdsl.runtime import doctor
    from archdsl.runtime.session import PROVIDERS, not_started, require
    from archdsl.timing.contestants import TABLE

    for device in devices:
        require(device)  # type: ignore[arg-type]
        if device != "cpu" and not (found := doctor.tried(PROVIDERS[device])).works:
            raise not_started(found.name, found.detail.removeprefix("does not start: "))
    for way in against:
        for package in TABLE[way].packages:
            require_package(
                package,
                "E0801" if package == "torch" else "E0807",
                f"`--against {way}` needs it: pip install {package}",
            )
        if not TABLE[way].gpu and any(device != "cpu" for device in devices):
            raise click.UsageError(f"--against {way} runs on the processor only: leave out --device")


class Jobs:
    """What was asked for, and the networks made ready for it."""

    def __init__(
        self,
        console: Console,
        args: dict[str, str],
        size: str | None,
        weights: str | None,
        precision: Precision,
        threads: int,
        batches: Sequence[int],
        devices: Sequence[str],
    ) -> None:
        self.console, self.args, self.size, self.weights, self.precision = console, args, size, weights, precision
        self.threads, self.batches, self.devices = threads, batches, devices

    @contextmanager
    def of(self, spec: str, in_torch: bool) -> Iterator[tuple[str, list[Job]]]:
        """The network's name and a job for each batch and device; files are made in a folder that goes away again."""
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            compiled = spec.lower().endswith(".onnx")
            if compiled and (self.weights or self.args or in_torch or self.precision != "fp32"):
                said = "a compiled model is as it is: --weights, --precision, -a and PyTorch's ways need a SPEC"
                raise click.UsageError(said)
            name, job = self._file(spec) if compiled else self._made(spec, Path(folder), in_torch)
            shapes = job.shapes
            yield (
                name,
                [
                    replace(job, device=device, shapes={n: (batch, *shape) for n, shape in shapes.items()})
                    for device in self.devices
                    for batch in self.batches
                ],
            )

    def _file(self, path: str) -> tuple[str, Job]:
        from archdsl.runtime.model import check_runnable, read_facts
        from archdsl.runtime.session import open_session
        from archdsl.timing.job import Job

        facts = read_facts(path)
        check_runnable(path)
        session = open_session(facts.path, "cpu")
        shapes = {name: _fixed(facts.path, shape, self.size) for name, shape in session.inputs.items()}
        return facts.path.name, Job("archdsl", str(facts.path), "", "", shapes, threads=self.threads)

    def _made(self, spec: str, folder: Path, in_torch: bool) -> tuple[str, Job]:
        from archdsl.backends.spec.rewrite import standalone_text
        from archdsl.backends.weights.safetensors import save
        from archdsl.network import open_network
        from archdsl.shapes import concrete
        from archdsl.timing.job import Job

        net = open_network(spec, self.args, self.size)
        numbers = net.weights(self.weights)
        self.console.tell(numbers.notes)
        model, text, weights = folder / "model.onnx", folder / "spec.yaml", folder / "weights.safetensors"
        net.to_onnx(model, numbers, precision=self.precision, progress=self.console.progress(f"compiling {net.name}"))
        if in_torch:
            text.write_text(standalone_text(net.document, net.args), encoding="utf-8")
            save(numbers, weights)
        shapes = {net.graph.nodes[i].path: concrete(net.graph.nodes[i].shape) for i in net.graph.inputs}
        return net.name, Job(
            "archdsl", str(model), str(text), str(weights), shapes, threads=self.threads, half=self.precision != "fp32"
        )


def _fixed(path: Path, shape: Sequence[int | str | None], size: str | None) -> tuple[int, ...]:
    """A model's input without its batch, open sizes as `--input` says. Raises E0806 where that does not fit, or is
    missing."""
    from archdsl.diagnostics import error

    shown = " x ".join(str(size or "?") for size in shape[1:])
    words = (size or "").split("x") if size else [str(known) for known in shape[1:]]
    if len(words) != len(shape) - 1 or not all(
        word.isascii() and word.isdigit() and len(word) < 11 and 0 < int(word) < 2**31 for word in words
    ):
        said = (
            f"--input {size} is no size for {shown}" if size else f"the input of `{path.name}`, {shown}, has open sizes"
        )
        raise error("E0806", said, help="`--input 3x224x224` says which")
    fixed = tuple(map(int, words))
    if any(isinstance(known, int) and known != asked for known, asked in zip(shape[1:], fixed, strict=True)):
        raise error("E0806", f"--input {size} is not {shown}, which `{path.name}` takes")
    if prod(fixed) > _MAX_VALUES:
        raise error(
            "E0806", f"the input of `{path.name}` would have {prod(fixed):,} values; {_MAX_VALUES:,} are the most"
        )
    return fixed


# --- timings ---------------------------------------------------------------------------------------------


def _timings(
    console: Console, jobs: Jobs, specs: Sequence[str], against: Sequence[str], seconds: float, format: str
) -> tuple[str, int]:
    from archdsl.timing.turns import Contest

    found: list[tuple[str, str, Timing]] = []
    status = 0
    for spec in specs:
        with jobs.of(spec, any(way != "openvino" for way in against)) as (name, asked):
            for job in asked:
                with Contest(str(Path(job.model).parent) if job.spec else tempfile.gettempdir()) as contest:
                    for way in ("archdsl", *against):
                        console.murmur(f"{name}, batch {job.batch}, {job.device}: starting {way}")
                        contest.add(replace(job, kind=way))
                    for problem in contest.failed:
                        console.tell(problem.diagnostics)
                        status = 1
                    progress = console.progress(f"timing {name}, batch {job.batch}")
                    found += [(name, job.device, timing) for timing in contest.timings(seconds, progress)]
    return _timings_text(console, found, jobs.threads, format), status


def _timings_text(console: Console, found: Sequence[tuple[str, str, Timing]], threads: int, format: str) -> str:
    if format == "json":
        import json

        facts = [{"network": name, "device": device, **asdict(timing)} for name, device, timing in found]
        return json.dumps({"threads": threads, "timings": facts}, indent=2) + "\n"
    several = len({timing.kind for _, _, timing in found}) > 1
    titles = ["network", "device", "batch", "way", "p50 ms", "p95 ms", "spread", "images/s", "memory MB"]
    rows = [_row(*one) for one in found]
    if several:
        titles += ["time / ours", "from .. to", "difference"]
    else:
        rows = [row[: len(titles)] for row in rows]
    if format == "markdown":
        lines = [titles, [":--"] * 2 + ["--:"] + [":--"] + ["--:"] * (len(titles) - 4), *rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)
    from archdsl.report.grid import grid

    text = grid(titles, rows, {*titles} - {"network", "device", "way"}, console.style())
    versions = dict.fromkeys(timing.version for _, _, timing in found)
    said = f"{threads} thread{'s' if threads > 1 else ''}; {'; '.join(versions)}"
    runs, warm = min(t.runs for _, _, t in found), min(t.warm_runs for _, _, t in found)
    return f"{text}\n{said}\nat least {runs} runs in 10 turns after {warm} to warm up; spread: 90 % of the runs, by p50; memory: the whole process\n"


def _row(name: str, device: str, timing: Timing) -> list[str]:
    middle, least, most = timing.ratio
    first = timing.kind == "archdsl"
    return [
        name,
        device,
        str(timing.batch),
        timing.kind,
        f"{timing.p50_ms:.2f}",
        f"{timing.p95_ms:.2f}",
        f"{100 * timing.spread:.0f} %",
        f"{timing.images_s:.1f}",
        f"{timing.peak_bytes / 1e6:.0f}",
        "1" if first else f"{middle:.2f}",
        "" if first else f"{least:.2f} .. {most:.2f}",
        "" if first else f"{timing.difference:.1e}",
    ]


# --- profile ---------------------------------------------------------------------------------------------


def _profiles(console: Console, jobs: Jobs, specs: Sequence[str], format: str, top: int) -> str:
    from archdsl.timing.profile import profile

    made: list[tuple[str, int, Profile]] = []
    for spec in specs:
        with jobs.of(spec, in_torch=False) as (name, asked):
            made += [(name, job.batch, profile(job)) for job in asked]
    if format == "json":
        import json

        rows: list[dict[str, Any]] = [
            {
                "network": name,
                "batch": batch,
                "ms": found.ms,
                "macs_s": found.machine.macs_s,
                "bytes_s": found.machine.bytes_s,
                "nodes": [asdict(node) for node in found.nodes],
            }
            for name, batch, found in made
        ]
        return json.dumps(rows, indent=2) + "\n"
    return "\n".join(_profile_text(console, name, batch, found, top, format) for name, batch, found in made)


def _profile_text(console: Console, name: str, batch: int, found: Profile, top: int, format: str) -> str:
    titles = ("node", "op", "ms", "share", "MACs", "GMAC/s", "of GEMM", "of roof")
    slowest = sorted(found.nodes, key=lambda node: -node.ms)
    rows = [
        (
            node.path,
            node.op,
            f"{node.ms:.3f}",
            f"{100 * node.ms / found.ms:.1f} %",
            f"{node.macs:,}" if node.macs else "-",
            f"{node.macs / max(node.ms, 1e-3) / 1e6:.1f}" if node.macs else "-",
            f"{100 * node.of_gemm:.0f} %" if node.macs else "-",
            f"{100 * node.of_roof:.0f} %",
        )
        for node in slowest[:top]
    ]
    macs = sum(node.macs for node in found.nodes)
    machine = found.machine
    rate = macs / max(found.ms, 1e-3) * 1000 / machine.macs_s
    said = (
        f"{len(found.nodes)} nodes take {found.ms:.2f} ms for {macs:,} MACs: {100 * rate:.0f} % of the rate of large "
        f"matrix products\n(measured here: {machine.macs_s / 1e9:.1f} GMAC/s, and {machine.bytes_s / 1e9:.1f} GB/s for copying)\n"
    )
    if format == "markdown":
        lines = [titles, (":--", ":--", *["--:"] * 6), *rows]
        return f"**{name}, batch {batch}**\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{said}"
    from archdsl.report.grid import grid

    style = console.style()
    return f"{style.paint('head', f'{name}, batch {batch}')}\n\n{grid(titles, rows, {*titles} - {'node', 'op'}, style)}\n{said}"
