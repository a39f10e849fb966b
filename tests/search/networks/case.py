"""A spec's data with its graph and its tensors, the reference's outputs, and how far an output may be from them.

A bound on outputs follows from the network itself, and is fixed before anything of archdsl runs: how far the reference
strays when each op's value is changed at random by what rounding to float32 may do, over `RUNS` runs, times `FACTOR`.
Where that is more than `WORTHLESS` of the output, the network amplifies rounding (a norm over two almost equal numbers,
a few times) so much that float32 says nothing about it: such outputs are counted, and not compared.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import archdsl
from archdsl.graph import Graph, Node
from archdsl.network import Network
from archdsl.shapes import concrete
from tests.search.networks.reference import HALF, UNIT, Machine, Misfit, Unsound
from tests.search.networks.text import written

SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where files that are read at once are written: in memory, if there is such a folder."""
RUNS, FACTOR, WORTHLESS = 4, 16, 0.01
TOO_LARGE = 1e17
"""Values whose squares are near what a float32 can hold: outputs are not compared beyond."""
SMALLEST = 2.0**-126
"""What lies below may become 0."""
DOUBLE = 2.0**-53 / UNIT
"""Rounding to float64 in units of rounding to float32."""


@dataclass
class Result:
    """What one spec came to. `mismatches` are (kind, detail)."""

    seed: int | str
    mismatches: list[tuple[str, str]] = field(default_factory=list)
    rejected: str = ""
    facts: dict[str, int] = field(default_factory=dict)

    def miss(self, kind: str, detail: object) -> None:
        self.mismatches.append((kind, str(detail)[:600]))


@dataclass
class Case:
    """A spec's data with its graph, and what both start from."""

    doc: Mapping[str, Any]
    variant: Mapping[str, Any]
    text: str
    network: Network
    weights: dict[str, np.ndarray]
    rng: np.random.Generator

    @property
    def graph(self) -> Graph:
        return self.network.graph

    settled: list[Any] | None = None
    """What the run at the default size has settled: where residuals have a projection, and its stride."""

    def machine(self, noise: int | None = None, unit: float = UNIT) -> Machine:
        """The reference with the graph's tensors, which it must want in the graph's order."""
        given: Iterator[Any] = iter(self.graph.tensors)

        def take(name: str, shape: tuple[int, ...]) -> Any:
            tensor = next(given, None)
            if tensor is None or (tensor.param.name, tensor.param.shape) != (name, shape):
                raise Misfit(
                    f"the reference wants `{name}` {shape}, the graph has {tensor and (tensor.key, tensor.param.shape)}"
                )
            return torch.from_numpy(np.asarray(self.weights[tensor.key]))

        errors = None if noise is None else torch.Generator().manual_seed(noise)
        machine = Machine(self.doc, take, errors, self.variant, settled=self.settled, unit=unit)
        machine.rest = given  # type: ignore[attr-defined]
        return machine

    def feeds(self, sizes: Mapping[str, int] | None = None, batch: int = 2) -> dict[str, np.ndarray]:
        """Images at the default or at other sizes; sometimes large, sometimes with a channel that is the same
        everywhere."""
        out = {}
        for i in self.graph.inputs:
            node = self.graph.nodes[i]
            x = self.rng.standard_normal((batch, *concrete(node.shape, sizes or defaults(self.graph)))).astype(
                np.float32
            )
            x *= np.float32(self.rng.choice([1, 1, 1, 30]))
            if self.rng.random() < 0.15:
                x[:, 0] = np.float32(0.5)
            out[node.path] = x
        return out


def trains(graph: Graph, sizes: Mapping[str, int]) -> bool:
    """Whether auxiliary heads run at these sizes, too."""
    return all(
        sizes[s.name] == s.default
        or (not s.pinned and sizes[s.name] >= s.minimum and (sizes[s.name] - s.default) % s.step == 0)
        for s in graph.training_sizes
    )


def defaults(graph: Graph) -> dict[str, int]:
    return {size.name: size.default for size in graph.sizes}


def numbers(graph: Graph, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Tensors that hide nothing: no zeros and ones, and now and then a huge, tiny, constant or dead channel."""
    out = {}
    edge = rng.random() < 0.4
    for key, param, _ in graph.tensors:
        fixed = (
            not param.trained
            and param.init.how in ("data", "constant")
            and not param.name.startswith(("running", "num_"))
        )
        if fixed or param.dtype == "int64":
            value = (
                np.broadcast_to(
                    np.asarray(param.init.value, param.dtype).reshape(-1 if param.shape else ()), param.shape or ()
                )
                if param.init.how == "constant"
                else np.asarray(param.init.value, param.dtype).reshape(param.shape)
            )
            out[key] = np.array(value)
            continue
        fan = max(1, int(np.prod(param.shape[1:])))
        value = rng.uniform(0.3, 1.2, param.shape) * rng.choice([-1, 1], param.shape) / np.sqrt(fan)
        if param.name == "running_var":
            value = np.abs(value) + 0.1
        if edge and param.shape and rng.random() < 0.3:
            value = edged(value, param.name, rng)
        out[key] = np.asarray(value, np.float32)
    return out


def edged(value: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """One channel at the edge of what weights may be."""
    channel = rng.integers(len(value))
    if name == "running_var":
        value[channel] = rng.choice([0.0, 1e-12, 1e4])
    else:
        value[channel] *= rng.choice([0.0, 1e-7, 1e-3, 1e3])
    return value


def case_of(doc: Mapping[str, Any], seed: int | str) -> Case:
    """Raises ArchError where archdsl refuses the spec."""
    text = written(doc, seed)
    number = random.Random(f"weights {seed}").randrange(2**32)
    other = bool(doc.get("variants")) and number % 2 == 0
    network = archdsl.loads(text, variant="other" if other else None)
    rng = np.random.default_rng(number)
    return Case(doc, doc["variants"]["other"] if other else {}, text, network, numbers(network.graph, rng), rng)


@dataclass
class Wanted:
    """The reference's outputs in float64, and how far each may be missed."""

    outputs: dict[str, Any]
    aux: dict[str, Any]
    bounds: dict[str, float]
    comparable: bool
    worthless: float = WORTHLESS
    """Bounds beyond this share of an output say nothing."""


def reference(case: Case, feeds: Mapping[str, np.ndarray], unit: float = UNIT, heads: bool = True) -> Wanted:
    """The outputs, and how far they may be missed where numbers are rounded to `unit`: half precision is not compared
    where numbers are too large for it, and a bound of a quarter still says something."""
    inputs = {name: torch.from_numpy(x).double() for name, x in feeds.items()}
    exact = case.machine()
    outputs, aux = exact.run(inputs, heads)
    if case.settled is None:  # a later run may be without heads, and their residuals
        case.settled = exact.strides
    left = next(exact.rest, None)  # type: ignore[attr-defined]
    if left is not None and heads:
        raise Misfit(f"the graph has `{left.key}`, which the reference never wants")
    strays = {name: max(4 * unit * float(value.abs().max()), SMALLEST) for name, value in (outputs | aux).items()}
    for run in range(RUNS):
        machine = case.machine(noise=run, unit=unit)
        rounded = {name: machine.rounded(x, None, 1) for name, x in inputs.items()} if unit == HALF else inputs
        noisy = machine.run(rounded, heads)
        for name, value in (noisy[0] | noisy[1]).items():
            strays[name] = max(strays[name], float((value - (outputs | aux)[name]).abs().max()))
    finite = all(np.isfinite(s) for s in strays.values())
    largest, worthless = (TOO_LARGE, WORTHLESS) if unit == UNIT else (1e4, 0.25)
    bounds = {name: FACTOR * s for name, s in strays.items()}
    return Wanted(outputs, aux, bounds, finite and exact.largest < largest, worthless)


def at_sizes(case: Case, sizes: Mapping[str, int], result: Result) -> tuple[dict[str, np.ndarray], Wanted] | None:
    """One sample of these legal sizes, and the reference's outputs; None, and a mismatch, if the reference refuses."""
    feeds = case.feeds(sizes, batch=1)
    try:
        return feeds, reference(case, feeds, heads=trains(case.graph, sizes))
    except (Unsound, Misfit) as e:
        result.miss("sizes", f"{sizes} is said to be legal; the reference refuses it: {e}")
        return None


def apart(got: Any, want: Any) -> float:
    """The largest difference; infinite where shapes differ or a value is no number."""
    got = torch.as_tensor(got).double()
    if got.shape != want.shape:
        return float("inf")
    worst = float((got - want).abs().max()) if want.numel() else 0.0
    return worst if np.isfinite(worst) else float("inf")


def compare(
    result: Result, kind: str, got: Mapping[str, Any], want: Wanted, names: Mapping[str, Any], unit: float = 1.0
) -> None:
    """Outputs by name; `unit` scales the bound, for float64."""
    if set(got) != set(names):
        result.miss(kind, f"outputs {sorted(got)}, not {sorted(names)}")
        return
    for name, value in names.items():
        if tuple(got[name].shape) != tuple(value.shape):
            result.miss(kind, f"`{name}` is {tuple(got[name].shape)}, not {tuple(value.shape)}")
        elif (
            want.comparable
            and want.bounds[name] <= want.worthless * float(value.abs().max())
            and apart(got[name], value) > want.bounds[name] * unit
        ):
            size = float(value.abs().max())
            result.miss(
                kind,
                f"`{name}` is off by {apart(got[name], value):.3g} of {size:.3g}, bound {want.bounds[name] * unit:.3g}",
            )


def plan_nodes(graph: Graph) -> list[int]:
    wanted = set(graph.outputs.values())
    for node in reversed(graph.nodes):
        if node.id in wanted:
            wanted.update(node.inputs)
    return sorted(wanted)


def named(given: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    return dict(given._asdict()) if isinstance(given, tuple) else {next(iter(names)): given}


def flat(given: Any) -> list[Any]:
    return list(given) if isinstance(given, tuple) else [given]


def first_difference(one: Graph, other: Graph) -> str:
    """What differs first in two graphs, down to names, free sizes and outputs; empty if nothing does."""
    for a, b in zip(map(_row, one.nodes), map(_row, other.nodes), strict=False):
        if a != b:
            return f"node {a}, not {b}"
    if len(one.nodes) != len(other.nodes):
        return f"{len(one.nodes)} nodes, not {len(other.nodes)}"
    ends = [
        (list(g.outputs.items()), list(g.aux.items()), [tuple(size)[:4] for size in g.sizes], g.inputs)
        for g in (one, other)
    ]
    return "" if ends[0] == ends[1] else f"outputs, heads or sizes: {ends[0]}, not {ends[1]}"


def _row(node: Node) -> tuple[Any, ...]:
    return node.path, node.op.name, node.op.explicit(), node.inputs, node.shape, node.training, node.shared_with
