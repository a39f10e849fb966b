"""Families of flat graphs: one text, in which each network but the first is a variant, describes all of them.

Of the room: `archdsl.backends.spec.recover.family`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import archdsl
from archdsl.analysis.count import count
from archdsl.backends.spec.recover import Recovered, recover_family
from archdsl.backends.spec.recover.family import Unalike
from archdsl.graph import Graph

FAMILIES = {
    "resnet18 resnet34 resnet50 resnet101 resnet152": 30,
    "densenet121 densenet161 densenet169": 32,
    "vgg11 vgg13 vgg16 vgg19": 30,
    "squeezenet1_0 squeezenet1_1": 35,
    "mobilenet_v3_large mobilenet_v3_small": 55,
    "resnet20 resnet32 resnet110": 28,
}
"""Networks of the library, and the most lines of the text that has all of them."""
QUICK = [name for name in FAMILIES if name[:3] in ("vgg", "squ", "mob") or name.startswith("resnet20")]


def facts(graph: Graph) -> tuple[object, ...]:
    """Whatever two texts of one network have in common: tensors, costs, and the shapes of the outputs."""
    tensors = {tensor.key: tensor.param.shape for tensor in graph.tensors if not tensor.node.training}
    outputs = {name: graph.nodes[node].shape for name, node in graph.outputs.items()}
    totals = count(graph)
    return tensors, totals.macs, totals.depth, outputs


def check(graphs: Sequence[Graph]) -> Recovered:
    found = recover_family(graphs, [{}] * len(graphs))
    assert len(found) == len(graphs)
    for graph in graphs:
        again = archdsl.loads(found[0].text, variant=graph.name).graph
        assert facts(again) == facts(graph), found[0].text
    return found[0]


@pytest.mark.parametrize("names", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FAMILIES])
def test_families_of_the_library(names: str) -> None:
    found = check([archdsl.load(name).graph for name in names.split()])
    assert found.lines <= FAMILIES[names], found.text


FIRST = """\
name: one
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
  mid: [3x3 conv 32, 3x3 conv 48]
  pool: gap
  fc: fc 10
"""
CHANGES = {
    "nothing": ("", ""),
    "a count": ("2 * basic(16)", "3 * basic(16)"),
    "a count of one": ("layer1: 2 *", "layer1: 1 *"),
    "a width": ("stem: 3x3 conv 16", "stem: 3x3 conv 24"),
    "all widths": ("conv 48", "conv 96"),
    "a kernel": ("stem: 3x3", "stem: 5x5"),
    "an activation": ("stem: 3x3 conv 16", "stem: 3x3 conv 16 gelu"),
    "no norm": ("stem: 3x3 conv 16", "stem: 3x3 conv 16 plain"),
    "a size": ("input: 3x32x32", "input: 1x48x48"),
    "a new first node": ("  stem:", "  before: 3x3 conv 8\n  stem:"),
    "two new first nodes": ("  stem:", "  before: 3x3 conv 8\n  more: 1x1 conv 4\n  stem:"),
    "new nodes": ("  mid:", "  new: 1x1 conv 8\n  newer: 1x1 conv 9\n  mid:"),
    "a new last node": ("fc 10\n", "fc 10\n  soft: softmax\n"),
    "a node less": ("  layer1: 2 * basic(16)\n", ""),
    "two nodes less": ("  layer2: 2 * basic(32, 2 if first else 1)\n  mid: [3x3 conv 32, 3x3 conv 48]\n", ""),
    "a list": ("stem: 3x3 conv 16", "stem: [3x3 conv 8, 3x3 conv 16]"),
    "no list": ("mid: [3x3 conv 32, 3x3 conv 48]", "mid: 3x3 conv 32"),
    "a longer list": ("conv 48]", "conv 48, 2x2 maxpool, 1x1 conv 3]"),
    "a mapping": ("[3x3 conv 32, 3x3 conv 48]", "{a: 3x3 conv 32, b: 3x3 conv 48}"),
    "another input": ("  mid:", "  mid: 1x1 conv 4 <- stem\n  mid2:"),
    "branches": ("mid: [3x3 conv 32, 3x3 conv 48]", "mid: {inception: {a: 1x1 conv 4, b: 3x3 conv 4}}"),
    "a body": ("[3x3 conv 32, 3x3 conv 48]", "{residual: {a: 1x1 conv 32, b: 1x1 conv 32}}"),
    "another block": ("linear}\n    then: relu", "linear, conv3: 1x1 conv w linear}\n    then: relu"),
    "another order": ("  pool: gap\n  fc: fc 10\n", "  fc: fc 10\n  pool: gap\n"),
}


BACK = ("a new first node", "two nodes less", "no list", "branches")
"""Changes that the first network has in the quick tests, too."""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("back", [False, True], ids=["", "back"])
def test_one_change(change: str, back: bool, request: pytest.FixtureRequest) -> None:
    """The variant has the change; or the first network has it, and the variant has not."""
    if back and change not in BACK and not request.config.getoption("--all"):
        pytest.skip("slow: runs with --all")
    old, new = CHANGES[change]
    assert old in FIRST
    texts = [FIRST, FIRST.replace(old, new)]
    if change == "another order":
        texts[1] = texts[1].replace("  fc: fc 10\n  pool: gap\n", "  fc: 1x1 conv 10\n  pool: gap\n")
    texts = texts[::-1] if back else texts
    check([archdsl.loads(text.replace("name: one", f"name: {n}")).graph for text, n in zip(texts, "ab", strict=True)])


TWO_INPUTS = """\
name: one
input: {left: 3x8x8, right: 3x8x8}
net:
  a: 3x3 conv 4 <- left
  b: again a <- right
  c: sub <- a, b
  d: [3x3 conv 5, tanh]
outputs: {y: d, z: c}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("conv 4", "conv 6"), ("conv 5", "conv 5 /2"), ("{y: d, z: c}", "{y: c, z: d}"), ("right: 3x8x8", "right: 3x8x8")],
)
def test_inputs_outputs_and_shared_weights(old: str, new: str) -> None:
    check([archdsl.loads(TWO_INPUTS).graph, archdsl.loads(TWO_INPUTS.replace(old, new).replace("one", "two")).graph])


def test_the_text_of_a_person() -> None:
    """Counts and widths are lists, a block is an argument, and nothing else differs."""
    deep = FIRST.replace("conv2:", "mid: 3x3 conv w, conv2:").replace("2 * basic(16)", "4 * basic(16)")
    texts = [FIRST, deep.replace("name: one", "name: two"), FIRST.replace("2 * ", "3 * ").replace("one", "three")]
    graphs = [archdsl.loads(text).graph for text in texts]
    classes = [{f"layer{n}.{k}": word for n in (1, 2) for k in range(4)} for word in ("Basic", "Deep", "Basic")]
    found = recover_family(graphs, classes)
    lines = found[0].text.splitlines()
    assert "args: {block: basic, n: [2, 2]}" in lines
    assert "  layer1: n[0] * block(16)" in lines
    assert lines[-3:] == ["variants:", "  two: {block: deep, n: [4, 2]}", "  three: {n: [3, 3]}"]
    assert [(one.recovered, one.flat) for one in found] == [(4, 0), (6, 0), (6, 0)]


@pytest.mark.parametrize(
    ("names", "difference"),
    [
        ("resnet18 resnet34 vgg11", "which has no `features`"),
        ("lenet5 vgg11", "which has no `features`"),
        ("resnet18 densenet121", "which has no `features`"),
    ],
)
def test_other_networks_are_no_variants(names: str, difference: str) -> None:
    graphs = [archdsl.load(name).graph for name in names.split()]
    with pytest.raises(Unalike, match=difference) as caught:
        recover_family(graphs, [{}] * len(graphs))
    assert caught.value.network == len(graphs) - 1
