"""Blocks of flat graphs: the recovered text describes the same network, in few lines.

Of the room: `archdsl.backends.spec.recover`, and in it `archdsl.backends.spec.recover.recovery`,
`archdsl.backends.spec.recover.items`, `archdsl.backends.spec.recover.fields`, `archdsl.backends.spec.recover.ops`,
`archdsl.backends.spec.recover.templates`, `archdsl.backends.spec.recover.tree`,
`archdsl.backends.spec.recover.writer`.
"""

from __future__ import annotations

import pytest

import archdsl
from archdsl.analysis.count import count
from archdsl.analysis.equal_nodes import same_network
from archdsl.backends.spec.recover import MAX_LINES, recover
from archdsl.graph import Graph
from archdsl.spec.find import library_networks

LINES = {
    "resnet18": 25, "resnet50": 25, "resnet152": 25, "densenet201": 30, "googlenet": 45, "mobilenet_v2": 33,
    "inception_v3": 90, "convnext_tiny": 40, "vgg16": 30, "regnet_y_400mf": 35, "squeezenet1_0": 30, "mnasnet1_0": 30,
    "mobileone_s0": 50, "unet3d": 30, "shufflenet_v2_x1_0": 40, "wrn28_10": 30, "hrnet_w18": 200,
}  # fmt: skip
QUICK = {"resnet18", "densenet201", "googlenet", "mobilenet_v2", "vgg16", "unet3d", "squeezenet1_0"}
"""The most lines of the recovered text of a network of the library; its own file has as many."""


def tensors(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {tensor.key: tensor.param.shape for tensor in graph.tensors if not tensor.node.training}


def recovered_lines(name: str) -> int:
    """The lines of the recovered text of a network of the library, which has the same tensors, MACs and depth."""
    source = archdsl.load(name).graph
    recovered = recover(source)
    assert recovered is not None
    graph = archdsl.loads(recovered.text).graph
    assert tensors(graph) == tensors(source)
    before, after = count(source), count(graph)
    assert (before.macs, before.depth) == (after.macs, after.depth)
    return len(recovered.text.splitlines())


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in LINES])
def test_networks_of_the_library(name: str) -> None:
    assert recovered_lines(name) <= LINES[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(library_networks().keys() - LINES))
def test_every_network_of_the_library_has_a_form_with_blocks(name: str) -> None:
    assert recovered_lines(name) <= MAX_LINES


SHORT = """\
name: small
input: 3x32x32
defaults: {conv: bn relu}
blocks:
  basic(w, s=1):
    residual: {conv1: 3x3 conv w /s, conv2: 3x3 conv w linear}
    then: relu
net:
  stem: 3x3 conv 16
  layer1: 2 * basic(16)
  layer2: 2 * basic(32, 2 if first else 1)
  layer3: 2 * basic(64, 2 if first else 1)
  pool: gap
  fc: fc 10
"""
"""What a person wrote; the graph is the same without its blocks."""


def test_a_short_spec_is_found_again() -> None:
    source = archdsl.loads(SHORT).graph
    classes = {f"layer{n}.{k}": "Basic" for n in (1, 2, 3) for k in (0, 1)}
    recovered = recover(source, classes)
    assert recovered is not None
    assert recovered.text == SHORT
    assert (recovered.recovered, recovered.flat) == (6, 0)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("conv2: 3x3 conv w linear}", "conv2: 3x3 conv w}"),
        ("then: relu", "then: relu6"),
        ("3x3 conv w /s,", "3x3 conv w /s dilation=2,"),
        ("conv2:", "conv3:"),
        ("    residual: {", "    do: {"),
        ("pool: gap", "pool: gmp"),
    ],
)
def test_different_networks_are_not_the_same(line: str, other: str) -> None:
    one, two = archdsl.loads(SHORT).graph, archdsl.loads(SHORT.replace(line, other)).graph
    assert line in SHORT
    assert same_network(one, one)
    assert not same_network(one, two)


def test_the_order_counts_in_a_concat_but_not_in_a_sum() -> None:
    text = "input: 3x8x8\nnet: {a: 3x3 conv 3, b: tanh, s: 'add <- a, b', c: 'concat <- s, a, b', fc: fc 2}\n"
    swapped = text.replace("concat <- s, a, b", "concat <- s, b, a")
    one = archdsl.loads(text).graph
    assert not same_network(one, archdsl.loads(swapped).graph)
    assert same_network(one, archdsl.loads(text.replace("add <- a, b", "add <- b, a")).graph)
