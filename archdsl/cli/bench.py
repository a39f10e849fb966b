"""`archdsl bench`: time networks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from archdsl.cli import complete
from archdsl.cli.console import Console
from archdsl.cli.options import (
    Choice,
    Range,
    arg_option,
    color_option,
    half_option,
    input_option,
    result_options,
    weights_option,
)

if TYPE_CHECKING:
    from archdsl.backends.onnx.half_precision import Precision
    from archdsl.runtime.session import Device
    from archdsl.timing.contestants import OtherName


def _batches(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    return tuple(int(click.INT(word, param, ctx)) for word in value.split(","))


@click.command("bench")
@click.argument("specs", metavar="SPEC|MODEL.onnx...", nargs=-1, shell_complete=complete.specs)
@click.option(
    "--batch",
    "batches",
    metavar="N,N...",
    default="1",
    callback=_batches,
    show_default=True,
    help="Batch sizes.",
)
@click.option(
    "--device",
    metavar="NAME",
    multiple=True,
    default=["cpu"],
    show_default=True,
    help="Device: cpu, cuda, cuda:1 or tensorrt. May be repeated.",
)
@click.option(
    "--against",
    type=Choice(["torch", "channels_last", "compile", "traced", "slimmed", "openvino"]),
    multiple=True,
    help="Another framework or mode to time. May be repeated.",
)
@weights_option
@half_option
@click.option(
    "--seconds",
    type=float,
    show_default="3; of a calibration 30",
    help="Duration of each timing, 0.1 to 600.",
)
@click.option("--threads", type=Range(1, 1024), help="CPU threads. Default: one per core.")
@click.option("--profile", is_flag=True, help="Print the time of each node and the limits of the machine.")
@click.option("--top", type=Range(1, 10_000), default=20, show_default=True, help="Rows of the profile.")
@click.option("--estimate", is_flag=True, help="Print estimated times of specs instead; runs nothing.")
@click.option("--calibrate", is_flag=True, help="Measure this machine once, for `--estimate`. Takes no SPEC.")
@arg_option
@input_option
@result_options("table", "json", "markdown")
@color_option
@click.pass_obj
def command(
    console: Console,
    specs: tuple[str, ...],
    batches: tuple[int, ...],
    device: tuple[Device, ...],
    against: tuple[OtherName, ...],
    weights: str | None,
    precision: Precision,
    seconds: float | None,
    threads: int | None,
    profile: bool,
    top: int,
    estimate: bool,
    calibrate: bool,
    args: dict[str, str],
    size: str | None,
    format: str,
    output: str | None,
    force: bool,
) -> int:
    """Time networks: latency, throughput and memory, alone or against other ways to run them.

    Each contestant runs in its own process, in turns, on the same random inputs. The time is that of the network alone,
    with the inputs already in memory.
    """
    import archdsl
    from archdsl.files.atomic import check_target
    from archdsl.spec.open import parse_overrides

    if output not in (None, "-"):
        check_target(str(output), force=force)
    if estimate or calibrate:
        _without_runs(console, click.get_current_context().params)
        return 0
    if not specs:
        raise click.UsageError("Missing argument 'SPEC|MODEL.onnx...'.")
    result = archdsl.bench(
        *specs,
        against=against,
        batch=batches,
        device=device,
        weights=weights,
        precision=precision,
        seconds=3.0 if seconds is None else seconds,
        threads=threads,
        profile=profile,
        args=parse_overrides(args),
        input=size,
        watch=console.progress,
    )
    console.print_diagnostics((*result.notes, *result.failures))
    text = result.markdown(top) if format == "markdown" else result.text(console.style(), top)
    console.write_output(_json(result.data()) if format == "json" else text, output, force)
    return int(bool(result.failures))


def _json(data: object) -> str:
    return json.dumps(data, indent=2) + "\n"


def _without_runs(console: Console, options: Mapping[str, Any]) -> None:
    """Measure the machine, or print estimates of the SPECs. Raises E0003 or a usage error for what these do not use."""
    from archdsl.diagnostics.arguments import conflict

    specs, calibrate = options["specs"], options["calibrate"]
    if calibrate and (specs or options["estimate"]):
        raise conflict("`--calibrate` measures this machine and takes no SPEC", help="run `bench SPEC --estimate` next")
    if options["against"] or options["weights"] or options["profile"] or options["precision"] != "fp32":
        raise conflict(
            "estimates and calibrations are for ONNX Runtime in float32",
            help="leave out `--against`, `--weights`, `--profile` and `--precision`",
        )
    if calibrate and (options["args"] or options["size"]):
        raise conflict("`--calibrate` measures this machine: `-a` and `--input` have no meaning", help="leave them out")
    if not calibrate and not specs:
        raise click.UsageError("Missing argument 'SPEC...'.")
    text = _calibration(console, options) if calibrate else _estimates(console, options)
    console.write_output(text, options["output"], options["force"])


def _calibration(console: Console, options: Mapping[str, Any]) -> str:
    import archdsl

    seconds = 30.0 if options["seconds"] is None else options["seconds"]
    device = options["device"][0]
    result = archdsl.calibrate(options["threads"], device=device, seconds=seconds, watch=console.progress)
    return _json(result.data()) if options["format"] == "json" else result.text(console.style())


def _estimates(console: Console, options: Mapping[str, Any]) -> str:
    import archdsl
    from archdsl.diagnostics.arguments import conflict
    from archdsl.spec.open import parse_overrides

    if {*options["device"]} != {"cpu"}:
        raise conflict("estimates are for the CPU; there are none for GPUs", help="leave out `--device`")
    args, batches = parse_overrides(options["args"]), options["batches"]
    result = archdsl.estimate(
        *options["specs"], batch=batches, threads=options["threads"], args=args, input=options["size"]
    )
    console.print_diagnostics(result.notes)
    if options["format"] == "json":
        return _json(result.data())
    return result.markdown() if options["format"] == "markdown" else result.text(console.style())
