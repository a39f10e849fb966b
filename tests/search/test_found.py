"""What random networks found, each as the smallest spec that shows it."""

from __future__ import annotations

import textwrap

import pytest

import archdsl


def graph(text: str) -> archdsl.graph.Graph:
    return archdsl.loads(textwrap.dedent(text)).graph


def sizes(text: str) -> list[str]:
    return [str(size) for size in graph(text).sizes]


def test_a_group_norm_keeps_two_values() -> None:
    """With a channel per group and one pixel left, torch refuses; such sizes were said to be legal."""
    assert sizes("input: 2x8x8\nnet: {a: gn 2}") == ["H >= 2", "W >= 1"]
    assert sizes("input: 2x8x8\nnet: {a: 3x3 conv 4 /2, b: gn 4}") == ["H >= 3", "W >= 1"]
    assert sizes("input: 2x1x8\nnet: {a: gn 2}") == ["H >= 1", "W >= 2"]
    assert sizes("input: 4x8x8\nnet: {a: gn 2}") == ["H >= 1", "W >= 1"]


def test_a_pool_whose_last_window_may_see_nothing_pins_the_size() -> None:
    """Fine at 5, where the last row of padding is never reached; at 6 a window would lie in it alone."""
    assert sizes("input: 2x5x5\nnet: {a: '1x1 maxpool /2 pad=[0,0,1,0]'}") == ["H = 5", "W = 5"]
    assert sizes("input: 2x5x5\nnet: {a: '3x3 maxpool /2 pad=[1,1,2,2]'}") == ["H >= 1", "W >= 1"]


def test_taps_do_not_step_over_the_image() -> None:
    assert sizes("input: 2x8x8\nnet: {a: 2x2 maxpool /1 dilation=3 pad=2}") == ["H >= 3", "W >= 3"]


def test_copies_that_receive_other_concatenations() -> None:
    """The printed source failed where the copies of a block read concats of other numbers of nodes."""
    text = """
        input: 1x1x1
        net:
          a: 1x1 conv 2
          b: concat <- input, a, input
          c:
            inception: {one: [1x1 conv 2], two: {d: 1x1 conv 6}}
            split: 2
            repeat: 2
    """
    assert "nn.Conv2d" in archdsl.loads(textwrap.dedent(text)).to_source()


def test_a_gate_at_the_default_size_only_pins_it() -> None:
    """1 x 1 at 4 x 4, larger elsewhere: it was refused as of another shape, without a word of the size."""
    (high, wide) = graph("input: 3x4x4\nnet: {a: 4x4 conv 3, b: upsample 2, c: 'mul <- a, b'}").sizes
    assert "mul" in high.pinned and "mul" in wide.pinned


def test_a_part_without_a_name_of_its_own_is_read_by_outputs_and_heads() -> None:
    text = """
        input: 3x8x8
        net: {_x: {c: 3x3 conv 4}, d: gap}
        aux: {head: {from: _x, do: {p: relu <- _x}}}
        outputs: {one: d, two: _x}
    """
    assert graph(text).outputs["two"] == graph(text).by_path["c"].id


def test_a_merge_that_is_left_out_is_told_as_such() -> None:
    """It was said to be built later."""
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads("input: 3x8x8\nnet: {a: relu, s: 'add <- a, input when 1 > 2', m: relu <- s}")
    (found,) = caught.value.diagnostics
    assert found.code == "E0410" and "left out" in found.message and found.span is not None and found.span.text == "s"


def test_response_norm_beside_a_large_channel() -> None:
    """ONNX Runtime's LRN takes large squares off again, and is left with less than nothing: its root is no number."""
    np, ort = pytest.importorskip("numpy"), pytest.importorskip("onnxruntime")
    from archdsl.backends.onnx.write import build

    model = build(graph("input: 8x2x2\nnet: {a: lrn 3 alpha=0.3 beta=0.5}"), {})
    x = np.ones((1, 8, 2, 2), np.float32)
    x[:, 1] = 1e6 / 3
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"input": x})
    assert np.allclose(made[0, 4:7], 1 / np.sqrt(1.3), rtol=1e-6)


def test_copies_that_receive_images_and_vectors() -> None:
    """One class for both, whose shapes the printed source could not say."""
    source = archdsl.loads(
        "input: 4x8x8\nblocks:\n  f: {a: relu, b: dropout}\nnet: {x: f, y: gap, z: flatten, v: f}"
    ).to_source()
    assert "(N, C, ...) -> (N, C, ...)" in source


@pytest.mark.parametrize("head", ["f((c)", "f([c, d=1)", "f(c, d=(1)"])
def test_a_bracket_left_open_in_the_head_of_a_block(head: str) -> None:
    """It swallowed the arguments behind it, without a word."""
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(f"input: 3x8x8\nblocks:\n  '{head}': relu\nnet: relu")
    assert [d.code for d in caught.value.diagnostics] == ["E0210"]
    assert "do not match" in caught.value.diagnostics[0].help


def test_a_table_is_used_again_on_more_maps() -> None:
    """It reads the same ones; the module was made for as many as it met first."""
    torch = pytest.importorskip("torch")
    net = archdsl.loads("input: 2x6x5\nnet: {c: '1x1 conv 3 table=[[1],[0,1],[0,1]]', d: again c}")
    module = net.to_torch(seed=1)
    x = torch.randn(2, 2, 6, 5)
    weight, bias = net.weights(seed=1)["c.weight"].reshape(5), net.weights(seed=1)["c.bias"].reshape(3, 1, 1)
    for maps in (x[0].numpy(), x[1].numpy()):
        once = _by_table(maps, weight) + bias
        want = _by_table(once, weight) + bias
        got = module(torch.from_numpy(maps)[None])[0].detach().numpy()
        assert abs(got - want).max() < 1e-5


def _by_table(maps, weight):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.stack(
        [weight[0] * maps[1], weight[1] * maps[0] + weight[2] * maps[1], weight[3] * maps[0] + weight[4] * maps[1]]
    )


@pytest.mark.parametrize(("pixels", "steps"), [("[-1,-1,1,1]", 2), ("2", 1), ("[-1,0,-2,0]", 1)])
def test_pads_that_older_runtimes_understand(pixels: str, steps: int) -> None:
    """ONNX Runtime 1.20 took a pad of zeros into the max pool behind it, which pads with less than any number, unless
    it names its axes; and where an image is moved within its size, and read by nothing else, it wrote over pixels that
    it had yet to read."""
    np, ort, F = (
        pytest.importorskip("numpy"),
        pytest.importorskip("onnxruntime"),
        pytest.importorskip("torch.nn.functional"),
    )
    torch = pytest.importorskip("torch")
    from archdsl.backends.onnx.write import build

    found = graph(f"input: 2x7x6\nnet: {{r: tanh, p: 'pad {pixels}', m: 3x3 maxpool /1}}")
    model = build(found, {})
    pads = [node for node in model.graph.node if node.op_type == "Pad"]
    assert len(pads) == steps and all(len(node.input) == 4 for node in pads)
    numbers = {t.name: [*np.frombuffer(t.raw_data, np.int64)] for t in model.graph.initializer if t.data_type == 7}
    assert all(min(n) >= 0 or max(n) <= 0 for name, n in numbers.items() if name in {node.input[1] for node in pads})
    x = -np.random.default_rng(0).random((2, 2, 7, 6), np.float32)
    (made,) = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"input": x}
    )
    top, left, bottom, right = found.by_path["p"].op.sides((2, 7, 6))  # type: ignore[attr-defined]
    want = F.max_pool2d(F.pad(torch.from_numpy(x).tanh(), (left, right, top, bottom)), 3, 1)
    assert np.allclose(made, want.numpy(), atol=1e-6)


def test_the_name_of_a_node_with_a_then_is_that_of_the_then() -> None:
    """Outputs and references read the op before it, without a word."""
    found = graph("""
        input: 3x8x8
        net: {p: {do: relu, then: tanh}, q: gap, r: 'add <- p, p', s: [{do: {do: relu, then: elu}, then: relu6}]}
        outputs: {one: p, two: s.0}
    """)
    tanh = found.by_path["p/tanh"].id
    assert found.outputs == {"one": tanh, "two": found.by_path["s.0/relu6"].id}
    assert found.by_path["r"].inputs == (tanh, tanh)


def test_an_average_pool_of_a_volume_needs_a_voxel_for_each_of_its_window() -> None:
    """PyTorch refuses it, with padding too, where it takes a signal or an image; such sizes were said to be legal."""
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads("input: 1x2x8x8\nnet: {a: 3x3x3 avgpool /1 pad=1}")
    assert caught.value.diagnostics[0].code == "E0402"
    assert sizes("input: 1x8x8x8\nnet: {a: '3x2x1 avgpool /1 pad=[1,1,0,1,1,0]'}") == ["D >= 3", "H >= 2", "W >= 1"]
    assert sizes("input: 1x8x8\nnet: {a: 3x3 avgpool /1 pad=1}") == ["H >= 1", "W >= 1"]


def test_a_head_that_ends_with_a_node_left_out_is_written_flat() -> None:
    """It stands for what the left-out node would read; the flat text gave the head its last node instead."""
    from archdsl.backends.spec.rewrite import flat_text
    from archdsl.source import decode
    from archdsl.spec.open import from_source

    text = "input: 3x8x8\nnet: {c: gap}\naux: {h: {from: c, do: {r: relu, s: fc 4 <- input when 1 > 2}}}\n"
    written = flat_text(from_source(decode(text.encode(), "head.yaml")))
    assert archdsl.diff(archdsl.loads(text), archdsl.loads(written)).equal
