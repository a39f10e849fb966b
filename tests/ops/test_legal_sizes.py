"""The legal sizes of one op with random fields, against all sizes tried one by one: what archdsl accepts at each size,
and what torch runs there on tensors without values.

Tests `ops/reshape.py`, `ops/pool.py`, `ops/conv.py` and `ops/norm.py`.
"""

from __future__ import annotations

import random
from itertools import product

import pytest
import torch

import archdsl
from archdsl.backends.torch.module import build
from archdsl.diagnostics import ArchError
from archdsl.graph import Graph
from archdsl.shapes import concrete

LARGEST = 8


def four(rng: random.Random, least: int, most: int) -> str:
    return "[" + ",".join(str(rng.randint(least, most)) for _ in range(4)) + "]"


def pad(rng: random.Random) -> str:
    return f"pad pixels={four(rng, -4, 4)} channels=[{rng.randint(0, 2)},{rng.randint(0, 2)}]"


def windowed(kind: str, rng: random.Random) -> str:
    kernel = f"{rng.randint(1, 4)}x{rng.randint(1, 4)}"
    out = " 2" if kind in ("conv", "deconv") else ""
    text = f"{kernel} {kind}{out} /[{rng.randint(1, 3)},{rng.randint(1, 3)}]"
    if kind == "subsample":
        return text
    if kind == "deconv":
        crop = f" pad={rng.randint(0, 3)} extra={rng.randint(0, 2)}"
        return text + rng.choice(["", crop, f" dilation={rng.randint(1, 3)}{crop}"])
    text += rng.choice(["", " pad=1", f" pad={four(rng, 0, 3)}", " same"])
    if kind == "conv":
        return text + rng.choice(["", f" dilation=[{rng.randint(1, 3)},{rng.randint(1, 3)}]"])
    return text + rng.choice(["", " ceil"]) + (rng.choice(["", " inside"]) if kind == "avgpool" else "")


def graph_of(text: str, height: int, width: int) -> Graph | None:
    try:
        return archdsl.loads(f"input: 2x{height}x{width}\nnet:\n  a: {text}\n").graph
    except ArchError:
        return None


def ran(graph: Graph, height: int, width: int) -> tuple[int, ...] | str:
    """The shape that the module gives for an image of this size, or its error."""
    try:
        return tuple(build(graph)(torch.empty(1, 2, height, width, device="meta")).shape[1:])
    except (RuntimeError, ValueError) as e:
        return str(e)


def check(text: str) -> bool:
    """Whether archdsl accepts the op at the largest size; at the others, it must agree with its legal sizes."""
    graph = graph_of(text, LARGEST, LARGEST)
    if graph is None:
        return False
    legal = {size.name: size for size in graph.sizes}
    for axis in "HW":
        for number in range(1, LARGEST + 1):
            height, width = (number, LARGEST) if axis == "H" else (LARGEST, number)
            sizes, size = {"H": height, "W": width}, legal[axis]
            alone = graph_of(text, height, width)
            if alone is not None:
                assert ran(alone, height, width) == concrete(alone.nodes[-1].shape), (text, sizes)
            if size.pinned:
                continue
            expected = number >= size.minimum and (number - size.default) % size.step == 0
            assert expected == (alone is not None), (text, sizes)
            if expected:
                assert ran(graph, height, width) == concrete(graph.nodes[-1].shape, sizes), (text, sizes)
    return True


@pytest.mark.parametrize("kind", ["pad", "conv", "deconv", "maxpool", "avgpool", "subsample"])
def test_sizes(kind: str) -> None:
    rng = random.Random(kind)
    accepted = sum(check(pad(rng) if kind == "pad" else windowed(kind, rng)) for _ in range(30))
    assert accepted >= 10


@pytest.mark.parametrize(
    ("text", "least"), [("pad [3,0,-3,0]", 4), ("pad [-2,0,5,0]", 3), ("pad [-1,0,-1,0]", 3), ("pad [2,1,0,1]", 1)]
)
def test_a_crop_leaves_a_pixel_before_others_are_added(text: str, least: int) -> None:
    graph = graph_of(text, LARGEST, LARGEST)
    assert graph is not None
    assert [size.minimum for size in graph.sizes] == [least, 1]
    assert graph_of(text, least - 1, LARGEST) is None


@pytest.mark.parametrize("op", ["instancenorm", "gn 2"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (1, 8), (8, 1)])
def test_a_norm_over_single_channels_needs_two_pixels(op: str, height: int, width: int) -> None:
    """All sizes that are named are legal; those left out have one row, or one column if the default has one row."""
    graph = graph_of(op, height, width)
    assert graph is not None
    least = {size.name: size.minimum for size in graph.sizes}
    assert least == ({"H": 2, "W": 1} if height > 1 else {"H": 1, "W": 2})
    for rows, columns in product(range(1, LARGEST + 1), repeat=2):
        accepted = graph_of(op, rows, columns) is not None
        assert accepted == (rows * columns > 1)
        named = rows >= least["H"] and columns >= least["W"]
        assert not named or accepted
        assert named or (rows if height > 1 else columns) == 1
