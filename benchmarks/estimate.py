"""How far `bench --estimate` is from the times that networks of the library take, with one thread.

`archdsl bench --calibrate --threads 1` first. Each network runs in ONNX Runtime in this process, with random weights;
its time is the CPU time of its fastest run, so that other programs disturb it little. Prints the median, 90 % and worst
relative error.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
import numpy as np

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.library.catalog import catalog
from archdsl.network import load
from archdsl.runtime.session import Tuning, open_session
from archdsl.shapes import concrete

EVERY, LONGEST_MS, RUNS = 6, 1000, 5
"""Each sixth network of the library by name, below a second; a network runs at least so often."""


class Row(NamedTuple):
    name: str
    estimated_ms: float
    measured_ms: float

    @property
    def error(self) -> float:
        return abs(self.estimated_ms / self.measured_ms - 1)


def measured_ms(network: archdsl.Network) -> float:
    """The fastest run of one sample, in milliseconds of CPU time."""
    rng, nodes = np.random.default_rng(0), [network.graph.nodes[i] for i in network.graph.inputs]
    inputs = {node.path: rng.standard_normal((1, *concrete(node.shape)), np.float32) for node in nodes}
    with tempfile.TemporaryDirectory() as folder:
        network.to_onnx(Path(folder) / "model.onnx")
        run = open_session(Path(folder) / "model.onnx", "cpu", Tuning(threads=1)).bound(inputs).run
        run()
        times: list[float] = []
        while len(times) < RUNS or sum(times) < 200:
            start = time.process_time()
            run()
            times.append(1000 * (time.process_time() - start))
    return min(times)


def report(rows: list[Row]) -> str:
    errors = sorted(row.error for row in rows)
    tenth = errors[min(int(0.9 * len(errors)), len(errors) - 1)]
    lines = [f"{r.name:30} {r.estimated_ms:9.2f} {r.measured_ms:9.2f} {100 * r.error:7.0f} %" for r in rows]
    return "\n".join(
        (
            f"{'network':30} {'estimated':>9} {'measured':>9} {'error':>9}",
            *lines,
            f"{len(rows)} networks: median error {100 * median(errors):.0f} %, 90 % of them below {100 * tenth:.0f} %, "
            f"worst {100 * errors[-1]:.0f} %",
        )
    )


@click.command()
@click.option("--every", type=click.IntRange(1), default=EVERY, show_default=True, help="Take each n-th network.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Begin with this network.")
@click.option("--minutes", type=float, default=4.0, show_default=True, help="Stop after this time.")
def main(every: int, first: int, minutes: float) -> None:
    rows: list[Row] = []
    end = time.monotonic() + 60 * minutes
    names = [entry.name for entry in catalog()]
    for name in sorted(names)[first::every]:
        if time.monotonic() > end:
            break
        network = load(name)
        try:
            estimated = archdsl.estimate(network, threads=1).estimates[0].estimated_ms
            if estimated < LONGEST_MS:
                rows.append(Row(name, estimated, measured_ms(network)))
        except ArchError as problem:
            if problem.diagnostics[0].code == "E0925":
                raise
            click.echo(f"{name}: {problem}", err=True)
    click.echo(report(rows))


if __name__ == "__main__":
    main()
