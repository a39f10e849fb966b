"""Every pair of ops at every optimisation level of ONNX Runtime: `python -m tests.search.op_pairs`.

ONNX Runtime rewrites a model when it loads it: it moves transposes through other nodes, fuses pads into pools and
changes memory layouts. Each chain of ops here is compiled, run at all four levels, and compared with the PyTorch module
and with the level that rewrites nothing. The ops are those of `tests/ops/cases.py`, written for signals, images and
volumes; the chains are `a, b`, `a, L, b`, and `L, a, b, L`, where L is an op with a Transpose or a Reshape in the file.

The tolerance is that of `archdsl verify` for the whole chain; it is computed only if a difference exceeds `QUICK`.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime as ort
import torch

import archdsl
from archdsl.backends.onnx import write as onnx_write
from archdsl.backends.torch.module import to_torch
from archdsl.backends.weights import Array, folded
from archdsl.graph import Graph
from archdsl.passes.optimise import optimise
from archdsl.runtime.inputs import seeded_inputs
from archdsl.shapes import numel
from archdsl.verification.reference import reference_outputs
from archdsl.verification.tolerance import channel_differences
from tests.ops.cases import CASES

LEVELS = {
    name: getattr(ort.GraphOptimizationLevel, f"ORT_{name}")
    for name in ("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_ALL")
}
LAYOUTS = ("ln", "gn 1", "lrn", "shuffle 2")
"""Ops that fit many inputs and whose nodes in the file change the layout: with a Transpose, or with Reshapes."""
INPUTS = ("12", "6x20", "6x9x8", "6x7x6x5")
"""The input of a chain, by the number of spatial axes that its first op reads."""
AXES = (1, 2, 3)
QUICK = 1e-6
Chain: TypeAlias = tuple[str, ...]


class Op(NamedTuple):
    """An op as a spec writes it, the spatial axes of what it reads (0: a vector), and the number of its inputs."""

    text: str
    axes: int
    arity: int


class Fault(NamedTuple):
    chain: Chain
    level: str
    what: str


@cache
def respelt(text: str, axes: int) -> str:
    """An op of the cases, which are of images, for signals or volumes: windows, strides, factors, sides, weights."""

    def sizes(numbers: Sequence[Any]) -> list[Any]:
        return [*numbers, numbers[0]][:axes]

    def bracketed(found: re.Match[str]) -> str:
        head, value = found[1], ast.literal_eval(found[2])
        if head.startswith("pad"):
            value = [*sizes(value[:2]), *sizes(value[2:])]
        elif head == "weight=":
            value = value[0] if axes == 1 else [value] * len(value) if axes == 3 else value
        else:
            value = sizes(value)
        return head + str(value).replace(" ", "")

    text = re.sub(r"^\d+x\d+", lambda found: "x".join(sizes(found[0].split("x"))), text)
    return re.sub(r"(pad=|^pad |weight=|/|^upsample )(\[\S+\])", bracketed, text)


@cache
def distinct_ops(axes: int) -> list[Op]:
    """Each text of the cases once for inputs with so many spatial axes, and once for vectors."""
    found = [
        Op(
            respelt(case.text, axes) if len(case.inputs[0]) > 1 else case.text,
            axes * (len(case.inputs[0]) > 1),
            len(case.inputs),
        )
        for case in CASES
    ]
    return list(dict.fromkeys(found))


def chains(ops: Sequence[Op]) -> Iterator[Chain]:
    """Pairs alone, with a layout op between them, and between two layout ops."""
    for a in ops:
        for b in ops:
            yield (a.text, b.text)
            yield from ((a.text, layout, b.text) for layout in LAYOUTS)
            yield from ((layout, a.text, b.text, layout) for layout in LAYOUTS)


LARGEST = 1_000_000
"""Numbers in a value: a volume that grows 41 times along each axis would take a minute."""


def sample(count: int, axes: int = 2, seed: int = 0) -> list[Chain]:
    """Each op between two of the first layout op, and as many random chains as `count`."""
    ops = distinct_ops(axes)
    wrapped = [(LAYOUTS[0], op.text, LAYOUTS[0]) for op in ops]
    every = list(chains(ops))
    return [*wrapped, *random.Random(seed).sample(every, count)]


def graph_of(chain: Chain, axes: int = 2) -> Graph | None:
    """The chain as a network; None if an op does not fit the output of the one before it.

    A merge also reads the first node of the chain if that fits, else its own input once more.
    """
    known = {op.text: op for op in reversed(distinct_ops(axes))}
    source = INPUTS[known[chain[0]].axes if chain[0] in known else axes]
    for others in ("n0", "n{previous}"):
        lines = []
        for number, text in enumerate(chain):
            previous = f"n{number - 1}" if number else "input"
            other = others.format(previous=number - 1) if number else "input"
            arity = known[text].arity if text in known else 1
            lines.append(f"  n{number}: {text} <- {', '.join([previous, *[other] * (arity - 1)])}")
        try:
            graph = archdsl.loads(f"input: {source}\nnet:\n" + "\n".join(lines) + "\n").graph
        except archdsl.ArchError:
            continue
        return graph if max(numel(node.shape) for node in graph.nodes) < LARGEST else None
    return None


def weights_of(graph: Graph, seed: int = 1) -> dict[str, Array]:
    """Weights that hide nothing: no zeros and ones, variances above 0."""
    draw = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for key, param, _ in graph.tensors:
        values = draw.uniform(0.3, 1.5, param.shape) * draw.choice([-1, 1], param.shape)
        values = np.abs(values) if param.name == "running_var" else values
        weights[key] = np.asarray(param.init.value if param.init.how == "data" else values, param.dtype)
        weights[key] = weights[key].reshape(param.shape)
    return weights


def outputs_by_level(model: bytes, inputs: Mapping[str, Array]) -> dict[str, Array | str]:
    """The first output at each level, or the message of the error."""
    outputs: dict[str, Array | str] = {}
    for name, level in LEVELS.items():
        options = ort.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = level, 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            outputs[name] = session.run(None, dict(inputs))[0]
        except Exception as problem:
            outputs[name] = " ".join(str(problem).split())
    return outputs


def faults(chain: Chain, graph: Graph, passes: bool = True, free_sizes: bool = True) -> list[Fault]:
    """The levels whose output is not that of the module, or not that of the level that rewrites nothing."""
    weights, inputs = weights_of(graph), seeded_inputs(graph)
    smaller = optimise(graph) if passes else graph
    listed = 0 if "shuffle 2" in chain[1:-1] or chain[0] == "shuffle 2" else 4096  # 0: shuffles with a Transpose
    with patch("archdsl.backends.onnx.rules.reshape._LISTED", listed):
        model = onnx_write.build(smaller, folded(weights, smaller) if passes else weights, free_sizes=free_sizes)
    try:
        with torch.no_grad():
            module = to_torch(graph, weights)(*(torch.from_numpy(value) for value in inputs.values())).numpy()
    except RuntimeError as problem:
        return [Fault(chain, "PyTorch", str(problem))]
    outputs = outputs_by_level(model.SerializeToString(), inputs)
    return [
        Fault(chain, level, what)
        for level, output in outputs.items()
        if (what := _fault(output, [module, outputs["DISABLE_ALL"]], graph, weights, inputs))
    ]


def _fault(
    output: Array | str, others: Sequence[Any], graph: Graph, weights: Mapping[str, Array], inputs: Mapping[str, Array]
) -> str:
    """Why the output is not one of the others; empty if it is."""
    if isinstance(output, str):
        return output[:200]
    for other in others:
        if isinstance(other, str):
            continue
        if output.shape != other.shape:
            return f"shape {output.shape}, not {other.shape}"
        difference = channel_differences(output, other).max()
        if not difference <= QUICK:
            (reference,) = reference_outputs(graph, weights, inputs).values()
            deviation = reference.deviation(output)
            if deviation.exceeded:
                return f"differs by {deviation.difference:.2g}, tolerance {deviation.tolerance:.2g}"
    return ""


def search(
    some: Iterable[Chain], axes: int = 2, passes: bool = True, free_sizes: bool = True
) -> tuple[int, list[Fault]]:
    """Check the chains; return how many fit together, and the faults."""
    fitting, found = 0, []
    for chain in some:
        graph = graph_of(chain, axes)
        if graph is not None:
            fitting += 1
            found += faults(chain, graph, passes, free_sizes)
    return fitting, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only chains (`a, b`) that match this regular expression")
    parser.add_argument("--axes", type=int, choices=AXES, help="only signals (1), images (2) or volumes (3)")
    parser.add_argument("--part", default="0/1", metavar="K/N", help="every Nth chain, starting at K")
    parser.add_argument("--no-passes", action="store_true", help="compile without passes")
    parser.add_argument("--fixed-sizes", action="store_true", help="compile with fixed sizes")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    part, parts = map(int, chosen.part.split("/"))
    every = [
        (axes, chain)
        for axes in AXES
        if chosen.axes in (axes, None)
        for chain in chains(distinct_ops(axes))
        if re.search(chosen.only, ", ".join(chain))
    ][part::parts]
    fitting, count, start = 0, 0, time.monotonic()
    for number, (axes, chain) in enumerate(every, 1):
        fits, found = search([chain], axes, not chosen.no_passes, not chosen.fixed_sizes)
        fitting, count = fitting + fits, count + bool(found)
        for fault in found:
            print(f"{axes} axes: {', '.join(fault.chain)}: {fault.level}: {fault.what}", flush=True)
        if number % 1000 == 0:
            print(f"{number:,} of {len(every):,}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    print(f"onnxruntime {ort.__version__}: {fitting:,} of {len(every):,} chains fit together, {count} have a fault")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
