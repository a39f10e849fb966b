"""The rules on names: a checkpoint's keys are part of the language.

Tests `elaborate/place.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from archdsl import ArchError
from archdsl.language.names import MODULE_NAMES

Net = Callable[..., Any]


def keys(network: Any) -> list[str]:
    """The paths of what has parameters, in order."""
    return list(dict.fromkeys(t.node.path for t in network.graph.tensors))


def paths(network: Any) -> list[str]:
    return [n.path for n in network.nodes[1:]]


def test_a_mapping_names_a_list_numbers(net: Net) -> None:
    network = net("net: {stem: [3x3 conv 8, relu, 2x2 maxpool, 3x3 conv 8], head: 1x1 conv 4}")
    assert paths(network) == ["stem.0", "stem.1", "stem.2", "stem.3", "head"]


def test_repeats_in_a_list_splice_and_count_on(net: Net) -> None:
    assert keys(net("net: {s: [3x3 conv 8, 2 * 3x3 conv 8, 3x3 conv 4]}")) == ["s.0", "s.1", "s.2", "s.3"]


def test_repeats_under_a_key_number_or_follow_the_pattern(net: Net) -> None:
    assert keys(net("net: {s: 2 * 3x3 conv 8}")) == ["s.0", "s.1"]
    assert keys(net('net: {s: "2 * 3x3 conv 8 as block1-{0}"}')) == ["s.block1-0", "s.block1-1"]
    assert keys(net('net: {s: ["2 * 3x3 conv 8 as c{1}", 3x3 conv 8]}')) == ["s.c1", "s.c2", "s.0"]


def test_what_when_leaves_out_takes_no_index(net: Net) -> None:
    assert keys(net("args: {x: false}\nnet: {s: [3x3 conv 8, 3x3 conv 8 when x, 3x3 conv 4]}")) == ["s.0", "s.1"]
    assert keys(net("args: {x: false}\nnet: {a: [[3x3 conv 8 when x], 3x3 conv 8]}")) == ["a.0"]


@pytest.mark.parametrize(
    ("naming", "under_key", "in_list"),
    [
        ("nested", ["conv1.conv", "conv1.bn"], ["s.0.conv", "s.0.bn", "s.1.conv", "s.1.bn"]),
        ("sibling", ["conv1", "bn1"], ["s.0", "s.1", "s.3", "s.4"]),
        ("flat", ["conv1.0", "conv1.1"], ["s.0", "s.1", "s.3", "s.4"]),
    ],
)
def test_two_parts_with_parameters(net: Net, naming: str, under_key: list[str], in_list: list[str]) -> None:
    defaults = f"defaults: {{conv: bn relu, naming: {naming}}}\n"
    assert keys(net(f"{defaults}net: {{conv1: 3x3 conv 8}}")) == under_key
    assert keys(net(f"{defaults}net: {{s: [3x3 conv 8, 3x3 conv 8]}}")) == in_list


@pytest.mark.parametrize("naming", ["nested", "sibling", "flat"])
def test_one_part_with_parameters_keeps_its_name(net: Net, naming: str) -> None:
    network = net(
        f"defaults: {{naming: {naming}}}\nnet: {{conv1: 3x3 conv 8 relu, norm1: bn relu, pool: 2x2 maxpool relu}}"
    )
    assert paths(network) == ["conv1", "conv1/relu", "norm1", "norm1/relu", "pool", "pool/relu"]


def test_a_composite_adds_one_component_and_a_call_none_of_its_own(net: Net) -> None:
    network = net(
        """
        defaults: {conv: bn relu, naming: sibling}
        blocks:
          basic(w, s=1):
            residual: {conv1: 3x3 conv w /s, conv2: 3x3 conv w linear}
            then: relu
        net:
          layer1: 2 * basic(8, 2 if first else 1)
        """
    )
    assert keys(network) == [
        "layer1.0.conv1",
        "layer1.0.bn1",
        "layer1.0.conv2",
        "layer1.0.bn2",
        "layer1.0.downsample.0",
        "layer1.0.downsample.1",
        "layer1.1.conv1",
        "layer1.1.bn1",
        "layer1.1.conv2",
        "layer1.1.bn2",
    ]
    assert "layer1.0/add" in paths(network)
    assert "layer1.0/relu" in paths(network)


def test_branches_of_a_list_are_anonymous_of_a_mapping_named(net: Net) -> None:
    assert keys(net("net: {m: {inception: {a: 1x1 conv 4, b: [1x1 conv 4, 3x3 conv 4]}}}")) == ["m.a", "m.b.0", "m.b.1"]
    assert keys(net("net: {m: {inception: [{a: 1x1 conv 4}, {b: 1x1 conv 4}]}}")) == ["m.a", "m.b"]


def test_underscore_keys_add_nothing(net: Net) -> None:
    assert keys(net("net: {_stem: {conv1: 3x3 conv 8}, conv2: 3x3 conv 8}")) == ["conv1", "conv2"]


def test_a_leading_dot_escapes_a_head_word(net: Net) -> None:
    assert keys(net("net: {.branches: 3x3 conv 8, .op: 3x3 conv 8}")) == ["branches", "op"]


def test_scale_is_its_own_key(net: Net) -> None:
    network = net("net: {block: {layer_scale: scale 0.5}}")
    assert [t.key for t in network.graph.tensors] == ["block.layer_scale"]


def test_the_flatten_before_fc_takes_no_index(net: Net) -> None:
    assert paths(net("net: {c: [fc 8, fc 4]}")) == ["c.0/flatten", "c.0", "c.1"]


def test_a_split_under_an_underscore_adds_nothing(net: Net) -> None:
    network = net(
        "net: {c: 3x3 conv 8, _x: split 2, d: {_y: 'split 2 <- _x.1', e: 'concat <- _y.1, _y.0'}, "
        "f: 'concat <- d._y.0, _x.0, d'}"
    )
    assert paths(network) == ["c", "/slice", "/slice2", "d/slice", "d/slice2", "d.e", "f"]
    module, x = network.to_torch(seed=1), torch.randn(2, 3, 16, 16)
    first, second = module.c(x).chunk(2, 1)
    halves = second.chunk(2, 1)
    assert torch.equal(module(x), torch.cat([halves[0], first, halves[1], halves[0]], 1))


@pytest.mark.parametrize("tail", ["[split 2, relu]", "{_x: split 2, b: relu}", "{x: split 2, b: relu}"])
def test_what_reads_all_parts_of_a_split_is_told_their_names(net: Net, tail: str) -> None:
    with pytest.raises(ArchError) as caught:
        net(f"net: {{c: 3x3 conv 8, t: {tail}}}")
    (found,) = caught.value.diagnostics
    names = re.findall(r"`<- ([^`]*)`", found.help)
    assert (
        found.code == "E0421"
        and names == {"[": ["name"], "{_": ["_x.0", "_x.1"], "{x": ["x.0", "x.1"]}[tail[: 1 + (tail[0] == "{")]]
    )


NUMBERED = """
net:
  0: 3x3 conv 8 bn relu
  3: relu
  7: 3x3 conv 8
  a.5: 3x3 conv 8
  a.2: 3x3 conv 8
  a.3: scale 0.5
  b.0: 3x3 conv 8 bn
  b.1: scale 0.3
  c.1: [3x3 conv 8, relu]
  d: {branches: {1: 1x1 conv 4, 0: 3x3 conv 4}}
  9.1: 3x3 conv 8
  9.0: again 9.1 relu
  sum: add <- 9.0, a.2, 7, c.1.0
"""


def test_numbers_are_names_in_any_order(net: Net) -> None:
    """As in the state_dict of a ModuleDict, or of a ModuleList from which modules are missing; also in the source."""
    network = net(NUMBERED)
    assert keys(network) == [
        *("0.conv", "0.bn", "7", "a.5", "a.2", "a.3", "b.0.conv", "b.0.bn", "b.1", "c.1.0", "d.1", "d.0", "9.1")
    ]
    module = network.to_torch(seed=1)
    assert isinstance(module.get_submodule("a.5"), torch.nn.Conv2d)
    space: dict[str, object] = {"__name__": "made"}
    exec(network.to_source(), space)
    made = space["build"]()  # type: ignore[operator]
    made.load_state_dict(module.state_dict())
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(made.eval()(x), module(x))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("net: {forward: 3x3 conv 8}", "E0502"),
        ("net: {train: 3x3 conv 8}", "E0502"),
        ("net: {class: 3x3 conv 8}", "E0502"),
        ("net: {input: 3x3 conv 8}", "E0502"),
        ("net: {'a b': 3x3 conv 8}", "E0501"),
        ("net: {a..b: 3x3 conv 8}", "E0501"),
        ("net: {01: 3x3 conv 8}", "E0501"),
        ("net: {a.01: 3x3 conv 8}", "E0501"),
        ("net: {100000: 3x3 conv 8}", "E0501"),
        ("net: {a._b: 3x3 conv 8}", "E0501"),
        ('net: {"a\\n": 3x3 conv 8}', "E0501"),
        ("net: [3x3 conv 8, {1: 3x3 conv 8, 1.conv: 3x3 conv 8}]", "E0503"),
        ("net: {a.keys: 3x3 conv 8}", "E0501"),
        ("net: {a: 3x3 conv 8, a.b: 3x3 conv 8}", "E0503"),
        ("net: {a.b: 3x3 conv 8, a: 3x3 conv 8}", "E0503"),
        ("net: {ﬁ: 3x3 conv 8}", "E0501"),
        ("net: {_a: 3x3 conv 8}", "E0504"),
        ("net: {m: {inception: [1x1 conv 4, identity]}}", "E0504"),
        ("net: {m: {inception: [[1x1 conv 4], [1x1 conv 4]]}}", "E0503"),
        ("defaults: {conv: bn, naming: sibling}\nnet: {stem: 3x3 conv 8}", "E0505"),
    ],
)
def test_names_that_cannot_be(net: Net, text: str, code: str) -> None:
    with pytest.raises(ArchError) as caught:
        net(text)
    assert [d.code for d in caught.value.diagnostics] == [code]


def test_every_attribute_of_a_torch_module_is_reserved() -> None:
    taken = {n for n in dir(torch.nn.Sequential()) if not n.startswith("_")}
    assert taken <= MODULE_NAMES, sorted(taken - MODULE_NAMES)
