"""Fuzzing of the import of ONNX files: `python -m tests.search.onnx_mutants --seconds 600 --seed 0`.

A graph of the table of small ones (`tests/support/onnx_cases.py`) or of a small network is changed at random: its
attributes, constants, axes, shapes, nodes, inputs and opset. What is imported must be equal to ONNX Runtime, in shape
and numbers; all else must be refused with a code. Each finding is printed with its seed, which makes it again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, helper, numpy_helper

from archdsl import loads
from tests.support.onnx_cases import CASES, held

_NETS = (
    "input: 3x8x8\nnet: {a: 3x3 conv 4 bn relu, b: {residual: [3x3 conv 4 bn relu, 3x3 conv 4 bn]}, g: gap, f: fc 3}",
    "input: 4x8x8\nnet: {a: 3x3 conv 8 /2 silu, s: shuffle 2, g: 3x3 dwconv, m: 2x2 maxpool, f: fc 3}",
    "input: 4x6x6\nnet: {a: 2x2 deconv 4 /2, n: gn 2, u: pixelunshuffle 2, c: 1x1 conv 4 gelu, p: pad 1, g: gap}",
    "input: 4x8x8\nnet: {a: 1x1 conv 4, g: gap, w: 1x1 conv 4 sigmoid, m: 'mul <- a, w', s: slice 0 2, u: upsample 2, "
    "l: ln}",
)
_NUMBERS = (-2, -1, 0, 1, 2, 3, 4)
_OPSETS = (7, 8, 9, 10, 11, 12, 13, 17, 18, 20, 21)


@cache
def graphs() -> tuple[onnx.ModelProto, ...]:
    """What is changed: the small graphs that are equal, and networks as archdsl writes them."""
    models = [case.model() for case in CASES]
    with tempfile.TemporaryDirectory() as folder:
        for text in _NETS:
            for passes in ([], None):
                loads(text).to_onnx(f"{folder}/a.onnx", seed=1, passes=passes, free_sizes=False)
                models += [onnx.load(f"{folder}/a.onnx")] * 30
    return tuple(models)


def mutant(seed: int) -> tuple[onnx.ModelProto, np.ndarray[Any, Any]]:
    """A changed graph, and an input for it."""
    rng = random.Random(seed)
    model = onnx.ModelProto()
    model.CopyFrom(rng.choice(graphs()))
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((_attribute, _attribute, _constant, _constant, _wiring, _shape, _opset))(rng, model)
    size = [d.dim_value or 1 for d in model.graph.input[0].type.tensor_type.shape.dim]
    return model, np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def _attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    """Change a number of an attribute, or remove the attribute."""
    node = rng.choice(model.graph.node)
    if not node.attribute:
        return
    attribute = rng.choice(node.attribute)
    if rng.random() < 0.2:
        node.attribute.remove(attribute)
    elif attribute.type == AttributeProto.INTS and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_NUMBERS)
    elif attribute.type == AttributeProto.INT:
        attribute.i = rng.choice(_NUMBERS)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = rng.choice((0.1, 0.5, 1.0, 2.0))


def _constant(rng: random.Random, model: onnx.ModelProto) -> None:
    """Change a number of a list, or the shape of a constant."""
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    array = np.array(numpy_helper.to_array(tensor))
    if array.dtype.kind == "i" and array.size:
        array.reshape(-1)[rng.randrange(array.size)] = rng.choice(_NUMBERS)
    elif rng.random() < 0.3 and array.size < 9:
        array = array * array.dtype.type(rng.choice((0.5, 2, -1)))
    else:
        shape = [*array.shape]
        change = rng.choice(("swap", "add", "remove", "one"))
        if change == "swap":
            rng.shuffle(shape)
        elif change == "add":
            shape.insert(rng.randint(0, len(shape)), 1)
        elif change == "remove" and 1 in shape:
            shape.remove(1)
        elif shape:
            axis = rng.randrange(len(shape))
            array = array.take([0], axis)
            shape[axis] = 1
        array = array.reshape(shape)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _wiring(rng: random.Random, model: onnx.ModelProto) -> None:
    """Drop a node, swap its inputs, let it read another value, or turn its input."""
    node, names = rng.choice(model.graph.node), ["x", model.graph.input[0].name]
    names += [name for one in model.graph.node for name in one.output]
    change = rng.randrange(4)
    if change == 0 and node.input:
        for other in model.graph.node:
            for index, name in enumerate(other.input):
                if name in node.output:
                    other.input[index] = node.input[0]
    elif change == 1 and len(node.input) > 1:
        node.input[0], node.input[1] = node.input[1], node.input[0]
    elif change == 2 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif node.input:
        perm = rng.choice(([0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2], [0, 2, 1]))
        number = len(model.graph.node)
        turn = helper.make_node("Transpose", [node.input[0]], [f"turned{number}"], perm=perm)
        node.input[0] = turn.output[0]
        nodes = [*model.graph.node]
        nodes.insert(nodes.index(node), turn)
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _shape(rng: random.Random, model: onnx.ModelProto) -> None:
    dim = rng.choice(model.graph.input[0].type.tensor_type.shape.dim)
    dim.dim_value = rng.choice((1, 2, 3, 4, 8))


def _opset(rng: random.Random, model: onnx.ModelProto) -> None:
    model.opset_import[0].version = rng.choice(_OPSETS)


def finding(seed: int) -> str:
    """`equal`, `refused` or `invalid`; else what is wrong."""
    model, x = mutant(seed)
    try:
        return held(model, x)
    except Exception as problem:  # an internal error
        return f"{type(problem).__name__}: {problem}"


def run(seconds: float, seed: int, most: int = sys.maxsize) -> tuple[Counter[str], list[str]]:
    """The number of results of each kind, and the findings."""
    counts: Counter[str] = Counter()
    findings = []
    end = time.monotonic() + seconds
    for number in range(seed, seed + most):
        if time.monotonic() > end:
            break
        result = finding(number)
        if result not in ("equal", "refused", "invalid"):
            findings.append(f"seed {number}: {result}")
            print(findings[-1], file=sys.stderr, flush=True)
        counts[result if result in ("equal", "refused", "invalid") else "wrong"] += 1
    return counts, findings


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    totals, wrong = run(options.seconds, options.seed)
    print(dict(totals))
    sys.exit(bool(wrong))
