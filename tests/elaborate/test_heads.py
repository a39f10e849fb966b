"""Auxiliary heads: their legal sizes stand apart from those of inference, and a head that does not fit is left out.

Tests `elaborate/heads.py` and `elaborate/size_limits.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.elaborate.size_limits import SizeLimits
from archdsl.shapes import Dim, Symbol

torch = pytest.importorskip("torch")

NET = "net: {a: 3x3 conv 4 /2, b: 3x3 conv 4, p: gap, fc: fc 10}\n"
SIDE = "{from: a, do: {c: 5x5 conv 4 valid, p: gap, fc: fc 10}}"
FLAT = "{from: a, do: {c: 5x5 conv 4 valid, f: flatten, fc: fc 10}}"


def network(aux: str, size: int) -> archdsl.Network:
    return archdsl.loads(f"input: 3x{size}x{size}\n{NET}aux: {aux}\n")


def sizes(found: archdsl.Network) -> tuple[list[str], list[str]]:
    return [str(size) for size in found.graph.sizes], [str(size) for size in found.graph.training_sizes]


def test_sizes_of_inference_and_of_training_stand_apart() -> None:
    assert sizes(network(f"{{side: {SIDE}}}", 16)) == (["H >= 1", "W >= 1"], ["H >= 9", "W >= 9"])
    assert sizes(network(f"{{side: {FLAT}}}", 16)) == (["H >= 1", "W >= 1"], ["H = 16", "W = 16"])
    assert sizes(archdsl.loads(f"input: 3x16x16\n{NET}")) == (["H >= 1", "W >= 1"], [])


@pytest.mark.parametrize("size", range(1, 17))
def test_each_size_against_torch(size: int) -> None:
    """What the larger network's module runs at this size, in evaluation and in training."""
    large, own = network(f"{{side: {SIDE}}}", 16), network(f"{{side: {SIDE}}}", size)
    image, module = torch.zeros(2, 3, size, size), large.to_torch()
    assert module(image).shape == own.to_torch()(image).shape == (2, 10)
    try:
        module.train()(image)
        trained = True
    except RuntimeError:
        trained = False
    assert trained == (size >= large.graph.training_sizes[0].minimum) == (list(own.graph.aux) == ["side"])


def test_heads_whose_names_have_dots_share_a_container() -> None:
    named = network("{heads.0: {from: a, do: 1x1 conv 2}, heads.1: {from: b, do: {out: 1x1 conv 2}}}", 16)
    assert [tensor.key for tensor in named.graph.tensors][-4:] == [
        *("heads.0.weight", "heads.0.bias", "heads.1.out.weight", "heads.1.out.bias")
    ]
    module = named.to_torch()
    assert module.train()(torch.zeros(2, 3, 16, 16))._fields == ("output", "heads_0", "heads_1")
    for taken in ("a.0", "heads.x.0: {from: a, do: fc 2}, heads.x"):
        with pytest.raises(ArchError) as caught:
            network(f"{{{taken}: {{from: a, do: 1x1 conv 2}}}}", 16)
        assert [d.code for d in caught.value.diagnostics] == ["E0503"]


def test_a_head_that_does_not_fit_is_left_out_with_a_note() -> None:
    left = network(f"{{side: {SIDE}, flat: {FLAT}, near: {{from: b, do: gap}}}}", 6)
    assert (left.graph.unfit_heads, list(left.graph.aux)) == (("side", "flat"), ["near"])
    notes = [(note.code, note.severity, note.message) for note in left.graph.notes]
    assert [note[:2] for note in notes] == [("N0424", "note")] * 2
    assert "`side` does not fit this input and is left out; to train it needs H >= 9, W >= 9" in notes[0][2]
    assert "`flat` does not fit this input and is left out; to train it needs an input such as 3x12x12" in notes[1][2]
    assert left.totals.aux_params == 0
    outputs = left.to_torch().train()(torch.zeros(2, 3, 6, 6))
    assert outputs._fields == ("output", "near")


@pytest.mark.parametrize(
    ("aux", "code"),
    [
        (f"{{side: {SIDE.replace('conv 4', 'conv 4 groups=3')}}}", "E0402"),
        (f"{{side: {SIDE.replace('from: a', 'from: z')}}}", "E0410"),
        ("{side: {from: fc, do: 5x5 conv 4}}", "E0401"),
        ('{side: {from: a, do: "9x9 avgpool pad=[9,0,0,0]"}}', "E0402"),
    ],
)
def test_a_head_that_is_wrong_at_every_size_is_an_error(aux: str, code: str) -> None:
    """Also one that breaks another rule at larger sizes: groups of 3, a window of padding only."""
    with pytest.raises(ArchError) as refused:
        network(aux, 6)
    assert {d.code for d in refused.value.diagnostics} == {code}


def test_a_network_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ArchError, match="E0402"):
        archdsl.loads(f"input: 3x6x6\nnet: {{a: 7x7 conv 4 valid, p: gap}}\naux: {{side: {SIDE}}}")


@pytest.mark.parametrize("size", [75, 96, 224])
def test_inception_v3_runs_where_torchvisions_runs(size: int, tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    theirs = models.inception_v3(init_weights=False, aux_logits=True, transform_input=False).eval()
    network = archdsl.load("inception_v3", input=f"3x{size}x{size}")
    assert network.graph.unfit_heads == ("AuxLogits",)
    weights = network.weights(theirs.state_dict())
    assert any("skipped" in note.message for note in weights.notes)
    image = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = theirs(image)
        torch.testing.assert_close(network.to_torch(weights)(image), expected)
        larger = archdsl.load("inception_v3")
        assert [size.minimum for size in larger.graph.sizes] == [75, 75]
        assert [size.minimum for size in larger.graph.training_sizes] == [299, 299]
        torch.testing.assert_close(larger.to_torch(theirs.state_dict())(image), expected)
    network.to_onnx(path := tmp_path / "net.onnx", weights)
    session = onnxruntime.InferenceSession(path)
    (output,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    np.testing.assert_allclose(output, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_inception_v3_is_refused_where_torchvisions_fails() -> None:
    with pytest.raises(ArchError, match="E0402"):
        archdsl.load("inception_v3", input="3x74x74")


def test_limits_are_joined() -> None:
    symbol = Symbol("H", 32)
    net, head = SizeLimits(), SizeLimits()
    net.at_least(Dim(symbol, 1, 0, 2), 3)
    net.in_steps(symbol, 4)
    head.at_least(Dim(symbol), 9)
    head.in_steps(symbol, 6)
    assert [str(size) for size in net.free_sizes([symbol], {})] == ["H >= 8, steps of 4"]
    assert [str(size) for size in net.joined(head).free_sizes([symbol], {})] == ["H >= 20, steps of 12"]
    assert [str(size) for size in net.free_sizes([symbol], {"H": "why"})] == ["H = 32"]


def errors_and_notes(text: str) -> list[str]:
    with pytest.raises(ArchError) as refused:
        archdsl.loads(text)
    return sorted(d.code for d in refused.value.diagnostics)


@pytest.mark.parametrize(
    ("net", "aux", "codes"),
    [
        (NET.replace("}", ", k: relu <- zz}"), f"{{side: {SIDE}}}", ["E0410", "N0424"]),
        (NET, f"{{side: {SIDE}, other: {{from: zz, do: gap}}}}", ["E0410", "N0424"]),
        (NET, f"{{side: {SIDE}, other: {SIDE.replace('conv 4', 'conv 4 groups=3')}}}", ["E0402", "N0424"]),
        (NET.replace("p: gap", "m: 7x7 maxpool, p: gap"), f"{{side: {SIDE}}}", ["E0402", "N0424"]),
        (f"name: größe\n{NET}", f"{{side: {SIDE}}}", ["E0501", "N0424"]),
    ],
)
def test_a_head_that_does_not_fit_stays_a_note_beside_errors(net: str, aux: str, codes: list[str]) -> None:
    assert errors_and_notes(f"input: 3x6x6\n{net}aux: {aux}\n") == codes


def test_a_flat_text_without_a_head_has_a_note(tmp_path: Path) -> None:
    from archdsl.backends.spec.rewrite import expand

    (path := tmp_path / "n.yaml").write_text(f"input: 3x6x6\n{NET}aux: {{side: {SIDE}}}\n")
    small, large, long = expand(path, flat=True), expand(path, flat=True, input="3x16x16"), expand(path)
    assert [note.code for note in small.notes] == ["N0424"] and "aux:" not in small.text
    assert (large.notes, long.notes) == ((), ()) and "aux:" in large.text and "aux:" in long.text
