"""Does `verify` detect one wrong weight? `python -m tests.search.wrong_weights --count 60 lenet5 resnet20 ...`.

A random value of a random tensor is increased by 1e-3, or by 1e-3 of itself. The node's output in float32, from the
inputs of the correct module, is compared with the reference, as in `archdsl verify`.

An error counts if float32 can show it: if, in float64, it changes a value of a channel by more than rounding changes
any value of that channel in the correct module. The others are listed too: errors that change no value at all (a relu
hides them), and errors below rounding, which no tolerance can detect without failing correct networks.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

import archdsl
from archdsl.backends.torch.module import to_torch
from archdsl.backends.torch.node import node_module
from archdsl.backends.weights import Array
from archdsl.graph import Graph, Node
from archdsl.network import Network
from archdsl.runtime.inputs import seeded_inputs
from archdsl.verification.observe import module_values
from archdsl.verification.reference import Reference, reference_values
from archdsl.verification.tolerance import channel_differences

BY = 1e-3
TINY = 1e-12
"""Relative to the largest value of the channel: smaller effects are rounding of float64."""


class Planted(NamedTuple):
    """A wrong weight: its `effect` on the channel, also relative to rounding and to the tolerance; `detected`: the
    difference exceeds the tolerance."""

    key: str
    at: tuple[int, ...]
    effect: float
    of_rounding: float
    of_tolerance: float
    detected: bool

    @property
    def verdict(self) -> str:
        if self.effect <= TINY:
            return "no effect"
        if self.detected:
            return "detected" if self.of_rounding > 1 else "detected, below rounding"
        return "missed" if self.of_rounding > 1 else "below rounding"


def planted(net: Network, count: int, relative: bool = False, seed: int = 0) -> Iterator[Planted]:
    """Yield `count` wrong weights, each alone; `relative`: by 1e-3 of the value itself."""
    graph, weights, inputs = net.graph, dict(net.weights(seed=seed)), seeded_inputs(net.graph, 1, seed)
    values = module_values(to_torch(graph, weights), graph, inputs)
    indices = drawn(graph, count, values, seed)
    given: dict[int, Array] = {}
    for reference in reference_values(graph, weights, inputs, seed=seed, known=values):
        node = reference.node
        given[node.id] = values.get(node.path, reference.value.astype(np.float32))
        for key, at in indices[node.id]:
            wrong = np.array(weights[key])
            wrong[at] += BY * wrong[at] if relative else BY
            yield _planted(reference, [given[i] for i in node.inputs], weights, key, at, wrong)


def drawn(
    graph: Graph, count: int, values: Mapping[str, Array], seed: int
) -> dict[int, list[tuple[str, tuple[int, ...]]]]:
    """Random tensors with an index in each, by node. Nodes whose value is not observed are left out."""
    draw = np.random.default_rng(seed)
    tensors = [t for t in graph.tensors if t.param.dtype == "float32" and not t.node.training and t.node.path in values]
    found: dict[int, list[tuple[str, tuple[int, ...]]]] = defaultdict(list)
    for _ in range(count):
        tensor = tensors[draw.integers(len(tensors))]
        found[tensor.node.id].append((tensor.key, tuple(int(draw.integers(n)) for n in tensor.param.shape)))
    return found


def _planted(
    reference: Reference, given: list[Array], weights: Mapping[str, Array], key: str, at: tuple[int, ...], wrong: Array
) -> Planted:
    node, changed = reference.node, {**weights, key: wrong}
    effects = channel_differences(_run(node, changed, given, torch.float64), reference.value)
    rounding = channel_differences(_run(node, weights, given, torch.float32), reference.value)
    c = int(effects.argmax())
    found = reference.deviation(_run(node, changed, given, torch.float32))
    return Planted(
        key,
        at,
        float(effects[c]),
        float(effects[c] / max(rounding[c], 1e-300)),
        float(effects[c] / reference.tolerances[c]),
        found.exceeded,
    )


def _run(node: Node, weights: Mapping[str, Array], given: list[Array], dtype: torch.dtype) -> Any:
    with torch.no_grad():
        return node_module(node, weights).to(dtype)(*(torch.from_numpy(value).to(dtype) for value in given)).numpy()


def table(names: list[str], count: int, relative: bool, seed: int, every: bool) -> tuple[list[str], int]:
    """Return a line for each network, and the number of missed errors."""
    columns = ("detected", "missed", "below rounding", "detected, below rounding", "no effect")
    lines, total = [f"{'':<22}" + "".join(f"{name:>26}" for name in columns)], Counter[str]()
    for name in names:
        found = list(planted(archdsl.load(name), count, relative, seed))
        verdicts = Counter(one.verdict for one in found)
        total.update(verdicts)
        lines.append(f"{name:<22}" + "".join(f"{verdicts[column]:>26}" for column in columns))
        lines += [
            f"    {one.verdict}: {one.key}{list(one.at)}: {one.effect:.1e} of its channel, "
            f"{one.of_rounding:.1f} x rounding, {one.of_tolerance:.2f} of the tolerance"
            for one in found
            if every and one.verdict in ("missed", "below rounding")
        ]
    lines.append(f"{'all':<22}" + "".join(f"{total[column]:>26}" for column in columns))
    return lines, total["missed"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="+")
    parser.add_argument("--count", type=int, default=60, help="number of wrong weights per network, each alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--relative", action="store_true", help="change a value by 1e-3 of itself, not by 1e-3")
    parser.add_argument("--every", action="store_true", help="print a line for each one that was not detected")
    chosen = parser.parse_args()
    lines, missed = table(chosen.network, chosen.count, chosen.relative, chosen.seed, chosen.every)
    print("\n".join(lines))
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
