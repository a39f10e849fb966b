"""Receptive fields against numerical ones: which output pixels change if the pixels at one place of the input do.

Tests `analysis/receptive_field.py` and the windows of all ops.
"""

from __future__ import annotations

import random
import textwrap
from math import prod
from typing import Any

import numpy as np
import pytest

import archdsl
from archdsl.analysis.receptive_field import feature_field, field_at, receptive_fields
from archdsl.graph import Graph
from archdsl.shapes import concrete
from tests.ops.cases import CASES, Case

torch = pytest.importorskip("torch")

from archdsl.backends.torch.module import to_torch  # noqa: E402

RUNS = 24
"""A maximum reads one pixel of its window at a time, a clipped activation none: several random images show them all."""


def extents(graph: Graph, runs: int = RUNS) -> list[tuple[int, ...] | None]:
    """Per input, the size on each axis of the largest field of any output point; None for a vector."""
    generator = torch.Generator().manual_seed(0)
    network = to_torch(graph).double()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)
    shapes = [concrete(graph.nodes[i].shape) for i in graph.inputs]
    return [
        extent(network, shapes, number, generator, runs) if len(shapes[number]) > 1 else None for number in graph.inputs
    ]


def extent(network: Any, shapes: list[tuple[int, ...]], number: int, generator: Any, runs: int) -> tuple[int, ...]:
    channels, *sizes = shapes[number]
    depends: Any = False
    for _ in range(runs):
        values = [torch.randn(1, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
        batch = [x.repeat(prod(sizes) + 1, *[1] * (x.dim() - 1)) for x in values]
        for number_of_place, place in enumerate(np.ndindex(*sizes)):
            change = 3 * torch.randn(channels, generator=generator, dtype=torch.float64)
            batch[number][(number_of_place, slice(None), *place)] = change
        with torch.no_grad():
            y = network(*batch)
        y = y.reshape(*y.shape[:2], -1)
        moved = ((y[:-1] - y[-1:]).abs() > 1e-9 * (1 + y[-1:].abs())).any(1)
        depends = moved.reshape(*sizes, -1).numpy() | depends
    axes = range(len(sizes))
    return tuple(largest(depends.any(tuple(other for other in axes if other != axis))) for axis in axes)


def largest(depends: Any) -> int:
    """The widest span of places, over all outputs (the last axis), including those between the ones that count."""
    spans = [np.flatnonzero(column) for column in depends.T]
    return max((int(span[-1] - span[0]) + 1 for span in spans if len(span)), default=0)


def case_graph(case: Case) -> Graph:
    return archdsl.loads(case.spec).graph


def cases_with_axes() -> list[Any]:
    return [
        pytest.param(case, id=f"{case.text} {case.inputs[0]}")
        for case in CASES
        if all(len(shape) > 1 and set(shape[1:]) != {1} for shape in case.inputs)
        and (len(case.inputs) < 2 or all(1 not in shape[1:] for shape in case.inputs))  # a gate reads the image
    ]


@pytest.mark.parametrize("case", cases_with_axes())
def test_field_of_one_op(case: Case) -> None:
    graph = case_graph(case)
    field = receptive_fields(graph)[-1]
    found = [size for size in extents(graph) if size is not None]
    numeric = tuple(max(sizes) for sizes in zip(*found, strict=True))
    whole = tuple(map(max, zip(*(shape[1:] for shape in case.inputs), strict=True)))
    theory = whole if field is None else tuple(map(min, field, whole))
    if (
        "deconv" in case.text and "dilation" in case.text
    ):  # of the pixels under the kernel, some outputs skip the outer ones
        assert all(size <= most for size, most in zip(numeric, theory, strict=True))
    else:
        assert numeric == theory


DRIFTING = [
    ("3x17x17", "{branches: [1x1 avgpool /4, ['pad -1', 3x3 avgpool /3]], merge: add}"),
    ("3x15x15", "{branches: [8x8 avgpool /1, [3x3 avgpool /4, upsample 2]], merge: add}"),
]


@pytest.mark.parametrize(("size", "node"), DRIFTING)
def test_inputs_of_different_strides_drift_apart(size: str, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = archdsl.loads(f"input: {size}\nnet: {{a: {node}}}").graph
    field = receptive_fields(graph)[-1]
    assert [field] == extents(graph)
    monkeypatch.setattr("archdsl.analysis.receptive_field._MAX_PHASES", 1)
    enclosing = receptive_fields(graph)[-1]
    assert field is not None and enclosing is not None
    assert all(most >= size for most, size in zip(enclosing, field, strict=True))


WHOLE = ["gn 3", "gn 1", "instancenorm", "gap", "gmp", "flatten", "1x1 avgpool adaptive"]
WHOLE += ["mean space", "max space", "sum space", "l2 space", "softmax space"]
GATED = """
    net:
      gate: {branches: [identity, {pool: gap, fc1: 1x1 conv 2 plain relu, fc2: 1x1 conv 3 plain sigmoid}], merge: mul}
"""


@pytest.mark.parametrize("op", WHOLE)
def test_an_op_that_reads_the_image_has_no_field(op: str) -> None:
    graph = archdsl.loads(f"input: 3x5x6\nnet: [{op}]").graph
    assert receptive_fields(graph)[-1] is None
    assert extents(graph) == [(5, 6)]


def test_a_gate_reads_the_image() -> None:
    graph = archdsl.loads(f"input: 3x5x6\n{textwrap.dedent(GATED)}").graph
    assert receptive_fields(graph)[-1] is None
    assert extents(graph) == [(5, 6)]


def test_a_gate_of_each_pixel_reads_what_it_multiplies() -> None:
    gate = "{branches: [identity, {pool: mean channels, conv: 3x3 conv 1 sigmoid}], merge: mul}"
    graph = archdsl.loads(f"input: 3x9x9\nnet: {{a: 3x3 conv 4, gate: {gate}}}").graph
    assert receptive_fields(graph)[-1] == (5, 5)
    assert extents(graph) == [(5, 5)]


@pytest.mark.parametrize("op", ["gn 1", "gap", "flatten", "1x1 avgpool adaptive"])
def test_an_image_of_one_pixel_is_not_widened(op: str) -> None:
    graph = archdsl.loads(f"input: 3x8x8\nnet: [3x3 conv 4 /7 pad=0, {op}]").graph
    assert receptive_fields(graph)[-1] == (3, 3)
    assert extents(graph) == [(3, 3)]


def test_a_batch_norm_reads_one_pixel_in_evaluation_mode() -> None:
    graph = archdsl.loads("input: 3x5x6\nnet: [bn]").graph
    assert receptive_fields(graph)[-1] == (1, 1)
    assert extents(graph) == [(1, 1)]


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ("pad [2,0,-2,0]", "identity", (3, 1)),
        ("pad [0,1,0,-1]", "pad [0,-1,0,1]", (1, 3)),
        ("3x3 conv 3", "pad [2,0,-2,0]", (4, 3)),
        ("3x3 conv 3 pad=[2,1,0,1]", "1x1 conv 3", (3, 3)),
        ("3x3 maxpool /1 pad=[0,1,2,1]", "3x3 maxpool /1 pad=[2,1,0,1]", (5, 3)),
        ("2x2 conv 3 same", "2x2 conv 3 pad=[1,1,0,0]", (3, 3)),
        ("3x3 deconv 3", "pad [3,0,-3,0]", (5, 3)),
    ],
)
def test_a_merge_contains_fields_that_are_apart(one: str, other: str, field: tuple[int, int]) -> None:
    graph = archdsl.loads(f'input: 3x9x9\nnet: {{a: {{branches: {{p: "{one}", q: "{other}"}}}}}}').graph
    assert receptive_fields(graph)[-1] == field
    assert extents(graph) == [field]


@pytest.mark.parametrize(
    "chain",
    [
        "2x2 avgpool, upsample 2, 2x2 avgpool /1",
        "2x2 avgpool, upsample 2 linear, 3x3 conv 2",
        "2x2 avgpool, upsample 3, 2x2 conv 2, upsample 2, 3x3 conv 2",
        "2x2 avgpool, 2x2 deconv 2 /2, 2x2 conv 2",
        "3x3 avgpool /2, 1x1 deconv 2 /2, 3x3 conv 2",
        "5x5 avgpool adaptive, 2x2 conv 2",
        "2x2 avgpool, upsample 2, 1x1 conv 2 /2",
    ],
)
def test_neighbours_that_are_not_equally_far_apart(chain: str) -> None:
    graph = archdsl.loads(f"input: 2x12x12\nnet: [{chain}]").graph
    field = receptive_fields(graph)[-1]
    assert extents(graph, 3) == [field]


def test_many_phases_are_not_kept_apart() -> None:
    """The fields of a huge upsampling, or of several, are enclosed by one."""
    for chain, least in (("upsample 100000", 1), ("upsample 40, upsample 40, 41x41 conv 1", 2)):
        field = receptive_fields(archdsl.loads(f"input: 1x2x2\nnet: [{chain}]").graph)[-1]
        assert field is not None
        assert all(least <= size <= least + 2 for size in field)


def layer(rng: random.Random) -> str:
    kernel, pad = rng.choice([(1, 0), (2, 0), (3, 1), (3, 0), (2, "same"), (5, 2)]), rng.choice([0, 1])
    return rng.choice(
        [
            f"{kernel[0]}x{kernel[0]} conv 2 pad={kernel[1]} plain",
            f"{kernel[0]}x1 avgpool /1",
            f"2x2 avgpool pad={pad}",
            "3x3 conv 2 /2 plain",
            "2x2 deconv 2 /2",
            "3x3 deconv 2 /2",
            "upsample 2",
            "upsample 2 linear",
            "pad [1,-1,0,1]",
            "4x4 avgpool adaptive",
            "{branches: [identity, 3x3 conv 2 plain], merge: add}",
            "{branches: [2x2 conv 2 same plain, 'pad [1,0,-1,0]'], merge: add}",
            "gn 1",
        ]
    )


@pytest.mark.parametrize("seed", range(40))
def test_no_chain_reads_more_than_its_field(seed: int) -> None:
    """Theory may name more than an image has, or than any phase of an upsampling reads; never less."""
    rng = random.Random(seed)
    text = ", ".join(layer(rng) if rng.random() < 0.9 else "relu" for _ in range(rng.randint(1, 4)))
    text = text.replace("'pad [1,0,-1,0]'", '"pad [1,0,-1,0]"').replace("pad [1,-1,0,1]", '"pad [1,-1,0,1]"')
    try:
        graph = archdsl.loads(f"input: 2x14x13\nnet: [{text}]").graph
    except archdsl.ArchError:
        pytest.skip("too small")
    field = receptive_fields(graph)[-1]
    (numeric,) = extents(graph, 6)
    if field is not None and numeric is not None:
        assert all(size <= most for size, most in zip(numeric, field, strict=True)), text


def test_a_vector_after_an_image_of_one_pixel_keeps_its_field() -> None:
    graph = archdsl.loads("input: 2x5x4\nnet: [5x4 conv 3 valid, fc 4 relu, fc 2]").graph
    assert [tuple(field) for field in receptive_fields(graph)[1:] if field] == [(5, 4)] * 5


def test_a_slice_of_a_concat_has_the_field_of_all_channels() -> None:
    """An upper bound, as decision 5 says: all channels of a node have one field."""
    text = "input: 2x9x9\nnet: {c: {branches: {a: 3x3 conv 2, b: 5x5 conv 2}}, s: slice start=0 end=2}"
    graph = archdsl.loads(text).graph
    assert extents(graph) == [(3, 3)]
    assert receptive_fields(graph)[-1] == (5, 5)


@pytest.mark.parametrize(
    ("size", "chain", "field"),
    [
        ("2x40", "15 conv 2 /2, 3 maxpool /2, 3 conv 2", (27,)),  # 15, + 2 * 2, + 2 * 4
        ("2x24", "5 conv 2 dilation=3, 2 avgpool, 2 deconv 2 /2", (14,)),  # 1 + 4 * 3, + 1
        ("2x24", "4 avgpool, upsample 2 linear, 3 conv 2", (12,)),
        ("1x7x8x9", "1x3x3 conv 2, 3x1x1 conv 2 /2x1x1, 1x2x2 maxpool /1x2x2", (3, 4, 4)),
        ("1x6x8x7", '3x3x3 conv 2 /1x2x2, 1x1x2 avgpool /1, "3x1x1 conv 2 pad=[0,0,0,1,0,0]"', (5, 3, 5)),
        ("1x6x6x6", "2x2x2 conv 2 /2, upsample 2, 1x1x2 conv 2", (2, 2, 4)),
        ("1x5x6x7", "{branches: {p: 3x1x1 conv 1, q: 1x1x5 conv 1}, merge: add}", (3, 1, 5)),
    ],
)
def test_every_axis_has_its_own_size(size: str, chain: str, field: tuple[int, ...]) -> None:
    graph = archdsl.loads(f"input: {size}\nnet: [{chain}]").graph
    assert receptive_fields(graph)[-1] == field
    assert extents(graph, 8) == [field]


@pytest.mark.parametrize("size", ["3x9", "3x4x5", "3x3x4x5"])
@pytest.mark.parametrize("op", ["gn 3", "gap", "flatten"])
def test_the_whole_of_a_signal_an_image_a_volume(size: str, op: str) -> None:
    graph = archdsl.loads(f"input: {size}\nnet: [{op}]").graph
    assert receptive_fields(graph)[-1] is None
    assert extents(graph) == [tuple(map(int, size.split("x")[1:]))]


def any_layer(rng: random.Random, axes: int) -> str:
    """A layer with a window of random sizes, strides and padding on each axis."""
    kernel, stride = ("x".join(str(rng.choice((1, 2, 3))) for _ in range(axes)) for _ in "ks")
    pads = ",".join(str(rng.choice((0, 0, 1))) for _ in range(2 * axes))
    return rng.choice(
        [
            f"{kernel} conv 2 /{stride} plain",
            f'"{kernel} conv 2 pad=[{pads}] plain"',
            f"{kernel} avgpool /{stride}",
            f"{kernel} deconv 2 /2 plain",
            "upsample 2",
            "upsample 2 linear",
            "{op: conv, kernel: 2, stride: 2, out: 2}",
            "{branches: {p: identity, q: {op: conv, kernel: 3, out: 2}}, merge: add}",
        ]
    )


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_no_chain_reads_more_than_its_field_on_any_axis(seed: int, axes: int) -> None:
    rng = random.Random(100 * axes + seed)
    size = "x".join(str(rng.choice((6, 7)) if axes > 1 else rng.randint(20, 40)) for _ in range(axes))
    text = ", ".join(any_layer(rng, axes) for _ in range(rng.randint(1, 3)))
    try:
        graph = archdsl.loads(f"input: 2x{size}\nnet: [{text}]").graph
    except archdsl.ArchError as e:
        assert {d.code for d in e.diagnostics} <= {"E0401", "E0402", "E0403", "E0404", "E0411", "E0416"}, text
        pytest.skip("too small")
    field = receptive_fields(graph)[-1]
    (numeric,) = extents(graph, 3)
    assert field is not None and numeric is not None
    assert all(size <= most for size, most in zip(numeric, field, strict=True)), text


def test_inputs_with_different_axes_have_no_common_field() -> None:
    text = """
    input: {ecg: 1x9, photo: 1x4x4}
    net: {a: 9 conv 2 valid <- ecg, u: flatten, b: 4x4 conv 2 valid <- photo, v: flatten, c: "concat <- u, v", d: fc 3}
    """
    graph = archdsl.loads(textwrap.dedent(text)).graph
    fields = {node.path: field for node, field in zip(graph.nodes, receptive_fields(graph), strict=True)}
    assert (fields["u"], fields["v"], fields["c"], fields["d"]) == ((9,), (4, 4), None, None)


def test_the_field_of_one_value_has_its_place() -> None:
    """Each pixel of the image is changed by itself: those that change the value are the field."""
    text = "name: n\ninput: 1x24x31\nnet: {a: 3x3 conv 2 /2 pad=0, b: 3x5 conv 2 /1x2 pad=2 linear, up: upsample 2}"
    graph = archdsl.loads(text).graph
    network = to_torch(graph).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.5)
    for node in ("a", "b", "up"):
        number = graph.by_path[node].id
        place = [size // 2 for size in concrete(graph.nodes[number].shape)[1:]]
        image = torch.rand((1, 1, 24, 31), dtype=torch.float64, requires_grad=True)
        value = image
        for name in ("a", "b", "up"):
            value = getattr(network, name)(value)
            if name == node:
                break
        value[0, :, place[0], place[1]].sum().backward()
        rows, columns = (image.grad[0, 0].abs().sum(dim=axis).nonzero().flatten() for axis in (1, 0))
        expected = tuple((int(lines[0]), int(lines[-1]) + 1) for lines in (rows, columns))
        assert field_at(graph, number, place) == expected, node


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        ("[5 * 3x3 conv 8 /2, 1x1 conv 8]", (63, 63)),
        ("[3x3 conv 8, 30x30 conv 8 valid, 1x1 conv 2]", (32, 32)),
        ("[3x3 conv 8, 32x32 avgpool, 1x1 conv 2]", (3, 3)),
        ("[3x3 conv 8, gap, 1x1 conv 2]", (3, 3)),
    ],
)
def test_a_map_of_one_pixel_is_a_feature_map_unless_it_is_pooled(net: str, expected: tuple[int, ...]) -> None:
    assert feature_field(archdsl.loads(f"input: 3x32x32\nnet: {net}\n").graph) == expected
