"""What composites, references, repeats and sizes mean.

Tests `elaborate/__init__.py`, `elaborate/walk.py`, `elaborate/make.py`, `elaborate/op_nodes.py`,
`elaborate/composites.py`, `elaborate/strides.py`, `elaborate/calls.py`, `elaborate/references.py`,
`elaborate/repeat.py`, `elaborate/bound.py` and `elaborate/expanders.py`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest
import torch

import archdsl
from archdsl import ArchError
from archdsl.shapes import concrete

Net = Callable[..., Any]


def shapes(network: Any) -> dict[str, tuple[int, ...]]:
    return {n.path: concrete(n.shape) for n in network.nodes}


def wires(network: Any, path: str) -> list[str]:
    node = network.graph.by_path[path]
    return [network.nodes[i].path for i in node.inputs]


def codes(make: Callable[[], Any]) -> list[str]:
    with pytest.raises(ArchError) as caught:
        make()
    return [d.code for d in caught.value.diagnostics]


# --- padding, stride, bias --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "size"),
    [
        ("3x3 conv 8", (8, 32, 32)),
        ("3x3 conv 8 /2", (8, 16, 16)),
        ("3x3 conv 8 valid", (8, 30, 30)),
        ("2x2 conv 8", (8, 31, 31)),
        ("3x3 conv 8 dilation=2", (8, 32, 32)),
        ("1x7 conv 8", (8, 32, 32)),
        ("3x3 conv 8 /[1,2]", (8, 32, 16)),
        ("3x3 conv 8 pad=[1,0,1,0]", (8, 32, 30)),
        ("3x3 conv 8 /2 pad=same", (8, 16, 16)),
        ("7x7 conv 8 /2 pad=0", (8, 13, 13)),
        ("2x2 maxpool", (3, 16, 16)),
        ("3x3 maxpool /2", (3, 15, 15)),
        ("3x3 maxpool /2 ceil", (3, 16, 16)),
        ("3x3 maxpool /2 pad=1", (3, 16, 16)),
        ("3x3 avgpool /1 pad=1 inside", (3, 32, 32)),
        ("5x4 avgpool adaptive", (3, 5, 4)),
        ("gap", (3, 1, 1)),
        ("2x2 deconv 8 /2", (8, 64, 64)),
        ("4x4 deconv 8 /2", (8, 64, 64)),
        ("3x3 deconv 8 /2", (8, 64, 64)),
        ("upsample 3", (3, 96, 96)),
        ("slice 1", (2, 32, 32)),
        ("slice 1 2", (1, 32, 32)),
        ("pad [-1,-1,1,2]", (3, 32, 33)),
        ("pad channels=[0,5]", (8, 32, 32)),
        ("1x1 fc 7", (7, 32, 32)),
        ("dwconv kernel=3 multiplier=2", (6, 32, 32)),
        ("flatten", (3072,)),
    ],
)
def test_output_shapes(net: Net, node: str, size: tuple[int, ...]) -> None:
    assert concrete(net(f"net: {{x: '{node}'}}").nodes[-1].shape) == size


def test_a_norm_takes_the_bias_away_and_words_bring_it_back(net: Net) -> None:
    network = net("net: {a: 3x3 conv 8, b: 3x3 conv 8 bn, c: 3x3 conv 8 bn bias, d: 3x3 conv 8 nobias}")
    with_bias = {t.node.path for t in network.graph.tensors if t.param.name == "bias" and t.node.op.name == "conv"}
    assert with_bias == {"a", "c.conv"}


def test_linear_plain_and_an_own_activation(net: Net) -> None:
    defaults = "defaults: {conv: bn relu}\n"
    kinds = {
        "3x3 conv 8": ["conv", "bn", "relu"],
        "3x3 conv 8 linear": ["conv", "bn"],
        "3x3 conv 8 plain": ["conv"],
        "3x3 conv 8 tanh": ["conv", "bn", "tanh"],
        "3x3 conv 8 plain relu6": ["conv", "relu6"],
        "3x3 conv 8 act=silu": ["conv", "bn", "silu"],
    }
    for text, expected in kinds.items():
        assert [n.op.name for n in net(f"{defaults}net: {{x: {text}}}").nodes[1:]] == expected


def test_defaults_reach_the_parts_and_the_relatives_of_conv(net: Net) -> None:
    network = net("defaults: {conv: bn relu, bn: {eps: 0.001}}\nnet: {a: dwconv kernel=3, b: 2x2 deconv 4 /2}")
    assert {n.op.eps for n in network.nodes if n.op.name == "bn"} == {0.001}
    assert [n.op.name for n in network.nodes[1:]] == ["conv", "bn", "relu", "deconv", "bn", "relu"]


# --- composites ------------------------------------------------------------------------------------------


def test_residual_adds_its_input_where_shapes_agree(net: Net) -> None:
    network = net("net: {r: {residual: {c: 3x3 conv 3}, then: relu}}")
    assert [n.path for n in network.nodes] == ["input", "r.c", "r/add", "r/relu"]
    assert wires(network, "r/add") == ["r.c", "input"]


def test_residual_projects_where_they_differ(net: Net) -> None:
    network = net("net: {r: {residual: {c: 3x3 conv 8 /2}}}")
    assert wires(network, "r/add") == ["r.c", "r.downsample.0"]
    assert network.graph.by_path["r.downsample.0"].op.stride == (2, 2)


@pytest.mark.parametrize("size", [32, 33, 31])
@pytest.mark.parametrize("stride", [2, 3])
def test_the_projections_stride_fits_odd_sizes(net: Net, size: int, stride: int) -> None:
    network = net(f"net: {{r: {{residual: {{c: 3x3 conv 8 /{stride}}}}}}}", input=f"3x{size}x{size}")
    assert shapes(network)["r.downsample.0"] == shapes(network)["r.c"]


def test_shortcut_words(net: Net) -> None:
    padded = net("net: {r: {residual: {c: 3x3 conv 8 /2}, shortcut: pad}}")
    assert [n.path for n in padded.nodes[1:]] == ["r.c", "r/subsample", "r/pad", "r/add"]
    for word, sources in (("project", ["r.c", "r.downsample.0"]), ("if_same_shape", None), ("none", None)):
        changed = net(f"net: {{r: {{residual: {{c: 3x3 conv 8 /2}}, shortcut: {word}}}}}")
        assert sources == (wires(changed, "r/add") if "r/add" in changed.graph.by_path else None)
    for word in ("project", "pad", "if_same_shape", "{x: 1x1 conv 3}"):
        same = net(f"net: {{r: {{residual: {{c: 3x3 conv 3}}, shortcut: {word}}}}}")
        assert wires(same, "r/add") == ["r.c", "input"]
    never = net("net: {r: {residual: {c: 3x3 conv 3}, shortcut: none, scale: 0.5, then: relu}}")
    assert [n.path for n in never.nodes[1:]] == ["r.c", "r/scale", "r/relu"]
    own = net("net: {r: {residual: {c: 3x3 conv 8 /2}, shortcut: {p: 2x2 avgpool, q: 1x1 conv 8}}}")
    assert wires(own, "r/add") == ["r.c", "r.q"]


def test_a_then_after_a_single_op_is_named_like_its_activation(net: Net) -> None:
    network = net("""
        args: {act: tanh, on: false}
        blocks: {b(c): 1x1 conv c bn}
        net:
          x: {do: 1x1 conv 5, then: tanh}
          y: {do: b(4), then: act}
          z: [{do: 1x1 conv 3 relu, then: 2x2 maxpool}, {do: {do: relu, then: elu}, then: tanh when on}]
          off: {do: 1x1 conv 3 when on, then: tanh}
          body: {residual: {c: {do: 3x3 conv 3, then: relu}}}
        """)
    paths = "x x/tanh y.conv y.bn y/tanh z.0 z.0/relu z.0/maxpool z.1 z.1/elu body.c body.c/relu body/add"
    assert [n.path for n in network.nodes[1:]] == paths.split()
    assert codes(lambda: net("net: {x: {do: 1x1 conv 5, then: bn}}")) == ["E0504"]
    assert codes(lambda: net("net: {x: {do: split 3, then: relu}}")) == ["E0421"]
    module, plain = (
        net(f"net: {{x: {node}, y: {node}}}").to_torch()
        for node in ("{do: 1x1 conv 5 bn, then: tanh}", "1x1 conv 5 bn tanh")
    )
    assert list(module.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(module.state_dict())
    image = torch.rand(2, 3, 32, 32)
    assert torch.equal(module.eval()(image), plain.eval()(image))


def test_residual_scale_is_a_constant(net: Net) -> None:
    network = net("net: {r: {residual: {c: 3x3 conv 3}, scale: 0.17}}")
    assert network.graph.by_path["r/scale"].op.mul == 0.17
    assert wires(network, "r/add") == ["r/scale", "input"]


def test_branches_split_and_merge(net: Net) -> None:
    network = net("net: {b: {branches: [identity, {c: 3x3 conv 4}], split: 2}}", input="8x16x16")
    assert wires(network, "b/concat") == ["b/slice", "b.c"]
    gate = net("net: {b: {branches: [identity, {g: gap, f: 1x1 conv 3 sigmoid}], merge: mul}}")
    assert wires(gate, "b/mul") == ["input", "b.f/sigmoid"]


def test_dense_is_a_chain_of_concats(net: Net) -> None:
    network = net('net: {d: "dense 3 * 3x3 conv 4 as layer{1}"}')
    assert shapes(network)["d/concat3"] == (15, 32, 32)
    assert wires(network, "d.layer3") == ["d/concat2"]
    assert network.graph.by_path["d.layer2"].in_shapes[0][0] == 7


def test_when_passes_on_what_came(net: Net) -> None:
    network = net("args: {x: false}\nnet: {a: 3x3 conv 8, b: 3x3 conv 8 when x, c: 3x3 conv 4}")
    assert wires(network, "c") == ["a"]


# --- references ------------------------------------------------------------------------------------------


def test_references_reach_back_out_and_in(net: Net) -> None:
    network = net("""
        net:
          stem: 3x3 conv 8
          trunk: {a: 3x3 conv 8, b: 3x3 conv 8 <- stem}
          join: concat <- trunk.a, trunk, input
        """)
    assert wires(network, "trunk.b") == ["stem"]
    assert wires(network, "join") == ["trunk.a", "trunk.b", "input"]


def test_a_block_sees_its_arguments_and_inputs_only(net: Net) -> None:
    text = "blocks:\n  b(): {x: 3x3 conv 8 <- stem}\nnet: {stem: 3x3 conv 8, b: b}"
    assert codes(lambda: net(text)) == ["E0410"]


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("net: [{c: 3x3 conv 8}, {d: relu <- c}]", "items of a list have numbers"),
        ("net: {conv1: relu, res: {residual: {conv2: 3x3 conv 3, b: bn}}, s: 'add <- res, conv2'}", "`res.conv2`"),
    ],
)
def test_a_node_that_is_elsewhere_is_named(net: Net, text: str, help: str) -> None:
    with pytest.raises(ArchError, match="E0410") as caught:
        net(text)
    assert help in str(caught.value.diagnostics[0].help)


def test_a_block_of_several_inputs(net: Net) -> None:
    network = net("""
        blocks:
          up(c) <- x, skip:
            up: 2x2 deconv c /2
            cat: concat <- skip, up
        net:
          a: 3x3 conv 4
          p: 2x2 maxpool
          u: up(8) <- p, a
        """)
    assert wires(network, "u.cat") == ["a", "u.up"]
    assert concrete(network.nodes[-1].shape) == (12, 32, 32)


def test_split_names_its_parts(net: Net) -> None:
    network = net("net: {s: split 2, j: 'concat <- s.1, s.0'}", input="8x4x4")
    assert wires(network, "j") == ["s.1", "s.0"]
    assert codes(lambda: net("net: {s: split 2, j: 3x3 conv 4}", input="8x4x4")) == ["E0421"]


def test_several_inputs_and_outputs(net: Net) -> None:
    network = net("""
        input: {image: 3x16x16, meta: 10}
        net:
          a: 3x3 conv 4 <- image
          g: gap
          f: fc 10
          m: add <- f, meta
        outputs: {logits: m, features: a}
        """)
    assert network.input == {"image": (3, 16, 16), "meta": (10,)}
    assert {k: network.nodes[v].path for k, v in network.graph.outputs.items()} == {"logits": "m", "features": "a"}


def test_in_is_what_the_node_receives(net: Net) -> None:
    network = net("blocks:\n  b(c=in): {x: 3x3 conv 2*in, y: 3x3 conv c+in}\nnet: {b: b}")
    assert [n.op.out for n in network.nodes[1:]] == [6, 9]


@pytest.mark.parametrize(("size", "axes"), [("3x9", 1), ("3x9x9", 2), ("3x9x9x9", 3)])
def test_axes_are_those_of_what_the_node_receives(size: str, axes: int) -> None:
    text = f"""
        input: {size}
        blocks:
          b(c=2**axes): {{x: conv c+axes kernel=axes, y: relu when axes == 2}}
        net: {{b: b, p: gap, f: flatten, g: fc 5+axes}}
        """
    network = archdsl.loads(textwrap.dedent(text))
    conv, last = network.nodes[1].op, network.nodes[-1].op
    assert (conv.out, conv.kernel, last.out) == (2**axes + axes, (axes,) * axes, 5)
    assert ("b.y" in network.graph.by_path) == (axes == 2)


def test_the_size_of_the_graph_never_depends_on_shapes(net: Net) -> None:
    assert codes(lambda: net("net: {a: axes * 3x3 conv 8}")) == ["E0313"]
    assert codes(lambda: net("blocks:\n  b(c=axes): {x: c * 3x3 conv 8}\nnet: {b: b}")) == ["E0313"]
    assert codes(lambda: net("args: {axes: 2}\nnet: {a: 3x3 conv 8}")) == ["E0502"]
    assert codes(lambda: net("net: {a: in * 3x3 conv 8}")) == ["E0313"]
    assert codes(lambda: net("blocks:\n  b(c=in): {x: c * 3x3 conv 8}\nnet: {b: b}")) == ["E0313"]


# --- free sizes ------------------------------------------------------------------------------------------


def size_of(network: Any, name: str = "H") -> Any:
    return next(s for s in network.graph.sizes if s.name == name)


def test_the_smallest_input_is_known(net: Net) -> None:
    assert size_of(net("net: [3x3 conv 8 valid, 2x2 maxpool, 3x3 conv 8 valid]")).minimum == 8
    assert size_of(net("net: [2x2 maxpool, 2x2 maxpool]")).minimum == 4


def test_flatten_pins_the_size(net: Net) -> None:
    network = net("net: [3x3 conv 8, fc 4]")
    assert size_of(network).pinned
    assert network.graph.by_path["input"].shape == (3, 32, 32)


def test_skips_over_strides_constrain_the_size(net: Net) -> None:
    network = net("net: {a: 3x3 conv 4, p: 2x2 maxpool, q: 2x2 maxpool, u: upsample 4, j: 'concat <- u, a'}")
    assert (size_of(network).step, size_of(network).minimum) == (4, 4)


def test_every_promised_size_elaborates(net: Net) -> None:
    text = "net: {a: 3x3 conv 4 /2, p: 3x3 maxpool /2 ceil, u: upsample 2, j: 'concat <- u, a'}"
    network = net(text, input="3x64x64")
    free = size_of(network)
    for size in range(free.minimum, free.minimum + 8 * free.step, free.step):
        assert (
            concrete(net(text, input=f"3x{size}x64").nodes[-1].shape, {"H": size, "W": 64})[1]
            == concrete(network.nodes[-1].shape, {"H": size, "W": 64})[1]
        )


def test_named_symbols(net: Net) -> None:
    network = net("input: {image: [3, rows=24, columns=32]}\nnet: [2x2 maxpool]")
    assert [s.name for s in network.graph.sizes] == ["rows", "columns"]


# --- one mistake, one error ------------------------------------------------------------------------------


def test_copies_of_a_mistake_are_one_error(net: Net) -> None:
    with pytest.raises(ArchError) as caught:
        net("blocks:\n  b(w): {c: 3x3 conv w groups=5}\nnet: {l: 36 * b(10)}", input="10x8x8".replace("10", "12"))
    (only,) = caught.value.diagnostics
    assert only.code == "E0403"


def test_a_failed_node_silences_what_follows(net: Net) -> None:
    assert codes(lambda: net("net: {a: 9x9 conv 8 valid, b: 3x3 conv 8 groups=3, c: fc 10}", input="3x4x4")) == [
        "E0402"
    ]


def test_all_mistakes_are_told_at_once(net: Net) -> None:
    text = "net:\n  a: 3x3 conv 8 groups=5\n  b: 3x3 konv 8\n  c: 3x3 conv 8 <- nobody\n"
    assert codes(lambda: net(text)) == ["E0403", "E0301", "E0410"]


def test_a_reference_reaches_into_a_call(net: Net) -> None:
    text = "blocks:\n  b(w): {x: 3x3 conv w, y: 3x3 conv w}\nnet:\n  l: 2 * b(8)\n  j: concat <- l.0.x, l.1"
    assert wires(net(text), "j") == ["l.0.x", "l.1.y"]


def test_a_name_that_adds_nothing_to_the_path_can_be_read(net: Net) -> None:
    network = net("net:\n  _a: {x: 3x3 conv 8}\n  b: 3x3 conv 8\n  _c: relu\n  s: add <- _a, b, _c")
    assert wires(network, "s") == ["x", "b", "/relu"]
    assert codes(lambda: net("net:\n  b: 3x3 conv 3\n  s: add <- _a, b\n  _a: relu")) == ["E0411"]


def test_a_node_left_out_stands_for_what_it_would_have_read(net: Net) -> None:
    text = (
        "args: {n: 0}\nnet:\n  a: 3x3 conv 8\n  b: 3x3 conv 8\n  c: 3x3 conv 8 <- a when n > 0\n  _d: relu when n > 0\n"
        "  s: add <- c, _d"
    )
    assert wires(net(text), "s") == ["a", "a"], "the next node reads it as well"
    assert wires(net(text, n=1), "s") == ["c", "/relu"]


def test_what_stands_behind_may_be_left_out(net: Net) -> None:
    text = (
        "args: {x: false}\nnet:\n  a: 3x3 conv 8\n  r:\n    residual: {conv: 3x3 conv 8}\n    then: relu when x\n  b:"
        " 3x3 conv 8"
    )
    assert wires(net(text), "b") == ["r/add"]
    assert wires(net(text, x=True), "b") == ["r/relu"]


def test_copies_count_from_any_number(net: Net) -> None:
    assert [n.path for n in net("net: {_a: '3 * 3x3 conv 4 as cell{9}'}").nodes[1:]] == ["cell9", "cell10", "cell11"]


def test_centres_may_be_drawn(net: Net) -> None:
    text = "net:\n  - flatten\n  - op: rbf\n    out: 2\n    centers: |\n      #. ##\n      .# ..\n"
    network = net(text, input="1x2x2")
    assert network.nodes[-1].op.centers == ((1, -1, -1, 1), (1, 1, -1, -1))
    assert codes(lambda: net(text.replace("#. ##", "#. #"), input="1x2x2")) == ["E0308"]
    assert codes(lambda: net(text.replace("#. ##", "#x ##"), input="1x2x2")) == ["E0308"]


@pytest.mark.parametrize(
    ("called", "short"),
    [
        ("fc(128, act=relu)", "fc 128 relu"),
        ("conv(8, kernel=3, norm=bn, act=act)", "3x3 conv 8 bn gelu"),
        ("conv(8, kernel=3, norm=none)", "3x3 conv 8"),
    ],
)
def test_a_call_of_an_op_takes_a_norm_and_an_activation(called: str, short: str) -> None:
    def nodes(node: str) -> list[object]:
        network = archdsl.loads(f"input: 3x8x8\nargs: {{act: gelu}}\nnet: {{a: '{node}'}}\n")
        return [(n.path, n.op, n.shape) for n in network.graph.nodes]

    assert nodes(called) == nodes(short)


def test_a_call_of_split_takes_no_activation() -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads("input: 4x8x8\nnet: {a: 'split(2, act=relu)', b: relu <- a.0}\n")
    assert caught.value.diagnostics[0].code == "E0309"


def test_a_node_that_nothing_reads_is_named_with_those_before_it() -> None:
    graph = archdsl.loads(
        "input: 3x8x8\nnet:\n  stem: 3x3 conv 4\n  lost: {a: 3x3 conv 8 bn relu <- stem, b: 5x5 conv 16 bn relu}\n"
        "  long: [relu <- stem, tanh, sigmoid, relu, 3x3 conv 4]\n  one: tanh <- stem\n  pool: gap <- stem\n"
    ).graph
    assert [(note.code, note.message, note.notes) for note in graph.notes] == [
        ("W0901", "nothing reads `lost.b/relu`", ("no output depends on `lost.a` either",)),
        (
            "W0901",
            "nothing reads `long.4`",
            ("no output depends on `long.1`, `long.2`, `long.3` and 1 before them either",),
        ),
        ("W0901", "nothing reads `one`", ()),
    ]


# --- strides of implied shortcuts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "residual"),
    [
        ("8x10x10", "{residual: {c: 3x3 conv 16 /2 valid}, shortcut: pad}"),
        ("8x12x12", "{residual: {c: 7x7 conv 8 /2 valid}}"),
        ("8x5x5", "{residual: {c: 5x5 conv 8 valid}}"),
        ("8x5x5", "{residual: {g: gap, c: 1x1 conv 4}}"),
        ("8x8x8", "{residual: {g: 4x4 avgpool adaptive, c: 1x1 conv 4}}"),
        ("8x8x8", "{residual: {u: upsample 2, c: 3x3 conv 4}}"),
    ],
)
def test_a_stride_that_fits_by_chance_is_no_shortcut(size: str, residual: str) -> None:
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(f"input: {size}\nnet: {{a: {residual}}}")
    assert [d.code for d in caught.value.diagnostics] == ["E0415"]


@pytest.mark.parametrize(
    ("size", "body", "stride"),
    [
        ("8x1x1", "{c: 3x3 conv 4 /2}", (2, 2)),
        ("8x9x7", "{c: 3x3 conv 4 /2, m: 3x3 maxpool /2 pad=1}", (4, 4)),
        ("8x9x7", "{c: {op: conv, kernel: 3, out: 4, stride: [1, 3]}}", (1, 3)),
        ("8x8x8", "{u: upsample 2, c: 3x3 conv 4 /4}", (2, 2)),
        ("8x8x8", "{c: 3x3 conv 4 /2, n: gn 2, g: {branches: [identity, [gap, sigmoid]], merge: mul}}", (2, 2)),
        ("8x8x8", "{d: {branches: {a: 3x3 conv 4 /2, b: 2x2 maxpool}}, s: split 2, r: 'concat <- s.0, s.1'}", (2, 2)),
        ("8x8x8", "{c: 3x3 conv 4 /2 <- outside}", (2, 2)),
    ],
)
def test_the_stride_of_a_shortcut_is_the_product_of_those_of_the_body(
    size: str, body: str, stride: tuple[int, int]
) -> None:
    body = body.replace("outside", "input")
    graph = archdsl.loads(f"input: {size}\nnet: {{a: {{residual: {body}}}}}").graph
    assert graph.by_path["a.downsample.0"].op.stride == stride
    assert not any("by chance" in str(reason) for reason in graph.sizes)


# --- constants that float32 cannot hold -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "node",
    [
        "affine 1e39",
        "{op: affine, mul: [1, 1, -1e39]}",
        "{residual: {c: 3x3 conv 4}, scale: 1e39}",
        "[relu, leaky_relu (2*3e38)]",
        "scale 1e39",
        "{op: conv, kernel: 1, out: 1, weight: [1e39, 1, 1]}",
    ],
)
def test_a_constant_that_is_infinite_in_float32_is_an_error(node: str) -> None:
    with pytest.raises(ArchError, match="larger than the largest float32 number") as caught:
        archdsl.loads(f"input: 3x8x8\nnet: {{a: {node}}}")
    assert [d.code for d in caught.value.diagnostics] == ["E0308"]
