"""The legal sizes of one op with random fields, against all sizes tried one by one: what archdsl accepts at each size,
and what torch runs there on tensors without values.

Tests `ops/reshape.py`, `ops/pool.py`, `ops/conv.py` and `ops/norm.py`.
"""

from __future__ import annotations

import random
from itertools import product
from math import prod

import pytest
import torch

import archdsl
from archdsl.backends.torch.module import build
from archdsl.diagnostics import ArchError
from archdsl.graph import Graph
from archdsl.shapes import concrete

LARGEST = 8


def sides(rng: random.Random, axes: int, least: int, most: int) -> str:
    return "[" + ",".join(str(rng.randint(least, most)) for _ in range(2 * axes)) + "]"


def each(rng: random.Random, axes: int, most: int) -> str:
    """A number for each axis, `2x1x3`."""
    return "x".join(str(rng.randint(1, most)) for _ in range(axes))


def pad(rng: random.Random, axes: int) -> str:
    return f"pad pixels={sides(rng, axes, -4, 4)} channels=[{rng.randint(0, 2)},{rng.randint(0, 2)}]"


def windowed(kind: str, rng: random.Random, axes: int) -> str:
    out = " 2" if kind in ("conv", "deconv") else ""
    text = f"{each(rng, axes, 4)} {kind}{out} /{each(rng, axes, 3)}"
    if kind == "subsample":
        return text
    if kind == "deconv":
        crop = f" pad={rng.randint(0, 3)} extra={rng.randint(0, 2)}"
        return text + rng.choice(["", crop, f" dilation={rng.randint(1, 3)}{crop}"])
    text += rng.choice(["", " pad=1", f" pad={sides(rng, axes, 0, 3)}", " same"])
    if kind == "conv":
        return text + rng.choice(["", f" dilation=[{each(rng, axes, 3).replace('x', ',')}]"])
    return text + rng.choice(["", " ceil"]) + (rng.choice(["", " inside"]) if kind == "avgpool" else "")


def graph_of(text: str, *sizes: int) -> Graph | None:
    try:
        return archdsl.loads(f"input: 2x{'x'.join(map(str, sizes))}\nnet:\n  a: {text}\n").graph
    except ArchError:
        return None


def ran(graph: Graph, *sizes: int) -> tuple[int, ...] | str:
    """The shape that the module gives for an input of these sizes, or its error."""
    try:
        return tuple(build(graph)(torch.empty(1, 2, *sizes, device="meta")).shape[1:])
    except (RuntimeError, ValueError) as e:
        return str(e)


def check(text: str, axes: int) -> bool:
    """Whether archdsl accepts the op at the largest size; at the others, it must agree with its legal sizes."""
    graph = graph_of(text, *[LARGEST] * axes)
    if graph is None:
        return False
    legal = {size.name: size for size in graph.sizes}
    assert list(legal) == ["L"] if axes == 1 else list(legal) == list("DHW"[-axes:])
    for axis in legal:
        for number in range(1, LARGEST + 1):
            sizes, size = {name: number if name == axis else LARGEST for name in legal}, legal[axis]
            alone = graph_of(text, *sizes.values())
            if alone is not None:
                assert ran(alone, *sizes.values()) == concrete(alone.nodes[-1].shape), (text, sizes)
            if size.pinned:
                continue
            expected = number >= size.minimum and (number - size.default) % size.step == 0
            assert expected == (alone is not None), (text, sizes)
            if expected:
                assert ran(graph, *sizes.values()) == concrete(graph.nodes[-1].shape, sizes), (text, sizes)
    return True


@pytest.mark.parametrize("axes", [2, 1, 3])
@pytest.mark.parametrize("kind", ["pad", "conv", "deconv", "maxpool", "avgpool", "subsample"])
def test_sizes(kind: str, axes: int) -> None:
    rng = random.Random(kind)
    accepted = sum(
        check(pad(rng, axes) if kind == "pad" else windowed(kind, rng, axes), axes)
        for _ in range(30 if axes == 1 else 15)
    )
    assert accepted >= 5


@pytest.mark.parametrize(
    ("text", "least"), [("pad [3,0,-3,0]", 4), ("pad [-2,0,5,0]", 3), ("pad [-1,0,-1,0]", 3), ("pad [2,1,0,1]", 1)]
)
def test_a_crop_leaves_a_pixel_before_others_are_added(text: str, least: int) -> None:
    graph = graph_of(text, LARGEST, LARGEST)
    assert graph is not None
    assert [size.minimum for size in graph.sizes] == [least, 1]
    assert graph_of(text, least - 1, LARGEST) is None


@pytest.mark.parametrize("op", ["instancenorm", "gn 2"])
@pytest.mark.parametrize("sizes", [(8, 8), (1, 8), (8, 1), (8,), (4, 4, 4), (1, 4, 4), (1, 1, 4), (4, 1, 1)])
def test_a_norm_over_single_channels_needs_two_points(op: str, sizes: tuple[int, ...]) -> None:
    """All sizes that are named are legal; of those left out, the first axis that had several has one."""
    graph = graph_of(op, *sizes)
    assert graph is not None
    first = next(axis for axis, size in enumerate(sizes) if size > 1)
    least = [size.minimum for size in graph.sizes]
    assert least == [2 if axis == first else 1 for axis in range(len(sizes))]
    for others in product(range(1, max(sizes) + 1), repeat=len(sizes)):
        accepted = graph_of(op, *others) is not None
        assert accepted == (prod(others) > 1)
        named = all(size >= small for size, small in zip(others, least, strict=True))
        assert not named or accepted
        assert named or others[first] == 1


CHAINS = [
    "2x2x2 maxpool, 3x1x3 conv 2 /1x3x2 valid",
    "{branches: {a: 2x2x2 conv 2 /2, b: 1x2x2 maxpool /2}, merge: concat}",
]


@pytest.mark.parametrize("chain", CHAINS)
def test_three_free_sizes_of_a_chain(chain: str) -> None:
    """Each of D, H, W has limits of its own: within a cube of sizes, archdsl accepts those that torch runs."""
    graph = graph_of(f"[{chain}]", 8, 8, 8)
    assert graph is not None and [size.name for size in graph.sizes] == ["D", "H", "W"]
    for sizes in product(range(1, 9), repeat=3):
        named = all(n >= s.minimum and (n - s.default) % s.step == 0 for n, s in zip(sizes, graph.sizes, strict=True))
        shape = ran(graph, *sizes)
        values = {size.name: n for size, n in zip(graph.sizes, sizes, strict=True)}
        assert named == (not isinstance(shape, str)), (sizes, shape)
        assert not named or shape == concrete(graph.nodes[-1].shape, values)
