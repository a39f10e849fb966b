"""What the help of an error proposes is written into the spec, and the spec is built.

Tests `diagnostics/fixes.py`, `language/hints.py`, `elaborate/place.py`, `source/faults.py` and the messages
of `ops/conv.py` and `ops/pool.py`.
"""

from __future__ import annotations

import re

import pytest

import archdsl
from archdsl.diagnostics import ArchError, Diagnostic, Proposal, Source, Span


def told(text: str) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text)
    (d,) = caught.value.diagnostics
    return d


def proposals(d: Diagnostic) -> list[str]:
    return re.findall(r"`([^`]+)`", d.help)


# --- sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("input_", "node", "less"),
    [
        ("2x8x8", "3x3 deconv 4 /2 extra=2", "3x3 deconv 4 /2 extra=1"),
        ("2x8", "5 deconv 4 /4 pad=1 extra=9", "5 deconv 4 /4 pad=1 extra=3"),
        ("2x8x8x8", "3x3x3 deconv 4 /2x3x4 extra=2", "3x3x3 deconv 4 /2x3x4 extra=1"),
    ],
)
def test_the_largest_extra(input_: str, node: str, less: str) -> None:
    d = told(f"input: {input_}\nnet: [{node}]\n")
    assert d.code == "E0406" and less.endswith(proposals(d)[0])
    archdsl.loads(f"input: {input_}\nnet: [{less}]\n")


@pytest.mark.parametrize("pad", ["", " pad=1"])
def test_no_extra_fits_a_stride_of_one(pad: str) -> None:
    text = "input: 2x8x8x8\nnet:\n  a: 3x3x3 deconv 4 /1x2x2"
    d = told(f"{text}{pad} extra=1\n")
    assert "along the depth, 1" in d.message
    assert d.help.startswith("leave out `extra` and `pad`:" if pad else "leave it out:")
    assert archdsl.loads(f"{text}\n").graph.by_path["a"].shape[1:] != (8, 8, 8)
    assert [str(size) for size in archdsl.loads(f"{text}\n").graph.by_path["a"].shape[1:]] == ["D", "2*H", "2*W"]


@pytest.mark.parametrize(("input_", "points"), [("2x8", "samples"), ("2x8x8", "pixels"), ("2x8x8x8", "voxels")])
def test_what_a_place_is_called_follows_from_the_axes(input_: str, points: str) -> None:
    d = told(f"input: {input_}\nnet: [maxpool kernel=3 pad=3]\n")
    assert (d.code, d.label) == ("E0416", f"8 {points}, kernel 3, stride 3, 3 of padding before")
    d = told(f"input: {input_}\nnet: [conv 4 kernel=9 pad=0]\n")
    assert d.code == "E0402" and f"9 {points} " in d.message
    assert told(f"input: {input_}\nnet: [deconv 4 kernel=3 pad=50]\n").help


@pytest.mark.parametrize("input_", ["2x0", "0x8x8", "[2, L=0]", "[2, H=3, H=4]", "2x99999999999"])
def test_wrong_input_sizes_have_a_help(input_: str) -> None:
    assert told(f"input: {input_}\nnet: [relu]\n").help


# --- defaults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "right"),
    [
        ("conv: {pad: [1,1,1,1]}", "conv: {pad: [1,1]}"),
        ("conv: {pad: [1,1,1,1]}", "conv: {pad: 1}"),
        ("conv: {stride: [1,2]}", "conv: {stride: [2]}"),
        ("conv: {groups: 5}", "conv: {groups: 4}"),
    ],
)
def test_an_error_in_a_default_is_at_the_default(default: str, right: str) -> None:
    text = "input: 12x50\ndefaults:\n  {}\nnet:\n  a: 3 conv 4\n  b: 3 conv 4 <- input\n"
    d = told(text.format(default))  # both nodes are one error
    value = re.split(": ", default, maxsplit=2)[2].rstrip("}")
    assert d.span is not None and (d.span.line, d.span.text) == (3, value)
    assert [(label.span.line, label.span.text) for label in d.labels] == [(5, "3 conv 4")]
    archdsl.loads(text.format(right))


def test_a_field_of_the_node_is_at_the_node() -> None:
    d = told("input: 12x50\ndefaults: {conv: {pad: 1}}\nnet:\n  a: 3 conv 4 pad=[1,1,1,1]\n")
    assert d.span is not None and (d.span.line, d.labels) == (4, ())


# --- names and norms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["prelu", "bn", "bn relu", "gn 4 prelu", "3 conv 12", "leaky_relu 0.1 <- input"])
def test_a_then_with_parameters(then: str) -> None:
    text = f"input: 12x50\nnet:\n  r:\n    residual: {{a: 3 conv 12}}\n    then: {then}\n"
    if then.startswith("leaky"):  # has none
        archdsl.loads(text)
        return
    d = told(text)
    (proposal,) = proposals(d)
    assert re.fullmatch(rf"then: \{{\w+: {re.escape(then)}\}}", proposal), d.help
    archdsl.loads(text.replace(f"then: {then}", proposal))


def test_a_body_with_parameters() -> None:
    text = "input: 12x50\nnet:\n  r:\n    residual: {}\n"
    d = told(text.format("3 conv 12"))
    archdsl.loads(text.format(proposals(d)[0]))
    assert proposals(told(text.format("{op: conv, kernel: 3, out: 12}"))) == ["{conv1: ...}"]


@pytest.mark.parametrize(
    ("word", "role"),
    [("gn=4", "norm: {op: gn, groups: 4}"), ("leaky_relu=0.1", "act: {op: leaky_relu, slope: 0.1}")],
)
@pytest.mark.parametrize("long", [False, True])
def test_a_value_of_a_norm_or_activation(word: str, role: str, long: bool) -> None:
    name, value = word.split("=")
    node = f"{{op: conv, kernel: 3, out: 12, {name}: {value}}}" if long else f"3 conv 12 {word}"
    d = told(f"input: 12x50\nnet:\n  a: {node}\n")
    _, own, under, *_ = proposals(d)
    assert own == role
    archdsl.loads(f"input: 12x50\nnet:\n  a: {{op: conv, kernel: 3, out: 12, {own}}}\n")
    archdsl.loads(f"input: 12x50\ndefaults: {{{under}}}\nnet:\n  a: 3 conv 12 {name}\n")


@pytest.mark.parametrize("word", ["relu=true", "tanh=1"])
def test_an_activation_without_values(word: str) -> None:
    d = told(f"input: 12x50\nnet:\n  a: 3 conv 12 {word}\n")
    name, alone, role = proposals(d)
    assert name == alone
    archdsl.loads(f"input: 12x50\nnet:\n  a: 3 conv 12 {alone}\n  b: {{op: conv, kernel: 3, out: 12, {role}}}\n")


# --- braces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "last", ["concat <- a, b", "concat <- b, a", "add <- a , b", "concat <- a, b, a", "add <- b, input"]
)
def test_a_value_that_yaml_splits_at_its_comma(last: str) -> None:
    text = f"input: 12x50\nnet: {{a: 3 conv 12, b: 3 conv 12, c: {last}}}\n"
    d = told(text)
    assert d.code == "E0113"
    assert d.help.startswith(f'quote it: "{last}",')
    archdsl.loads(text.replace(last, f'"{last}"'))


def test_a_key_that_is_used_twice() -> None:
    d = told("input: 12x50\nnet: {a: relu, a: tanh}\n")
    assert (d.code, d.help) == ("E0102", "rename one of them, or remove it")


# --- fixes ---------------------------------------------------------------------------------------------------


def test_a_proposal_that_is_not_in_the_text_has_no_fix() -> None:
    source = Source("a.yaml", "net: c\\u006fnv conv2 conv\n")
    assert not Proposal("did you mean?", "x", "conv3").fixes(Span(source, 5, 25))
    (one,) = Proposal("did you mean?", "x", "conv").fixes(Span(source, 5, 25))
    assert (one.edits[0].span.start, one.title, one.safe) == (21, "replace `conv` by `x`", False)
    assert Proposal("", "x").fixes(Span(source, 0, 0))[0].title == "insert `x`"


# --- keys, names of files, arguments -------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["class", "classes", "num_classes", "n_classes"])
def test_a_number_of_classes_is_an_argument(key: str) -> None:
    name = "classes" if key == "class" else key
    d = told(f"{key}: 10\ninput: 3x8x8\nnet: {{fc: fc 10}}\n")
    assert not d.fixes and proposals(d)[0] == f"args: {{{name}: 10}}"
    archdsl.loads(f"{proposals(d)[0]}\ninput: 3x8x8\nnet: {{fc: fc {name}}}\n")


def test_a_key_is_not_proposed_for_a_value_that_it_cannot_have() -> None:
    text = "input: 3x8x8\nnet: {fc: fc 10}\nclaim: %s\n"
    assert told(text % "{params: 1930}").help == "did you mean `claims`?"
    assert "claims`" not in told(text % "10").help and not told(text % "10").fixes


def test_the_name_of_a_file_as_text() -> None:
    assert "archdsl.load`" in told("own.yaml").help


def test_an_argument_for_a_spec_without_arguments() -> None:
    with pytest.raises(ArchError, match=r"add `args: \{width: \.\.\.\}`"):
        archdsl.loads("input: 3x8x8\nnet: {fc: fc 10}\n", width=3)


def test_a_network_of_the_library_cannot_be_repaired() -> None:
    (d,) = archdsl.fix("lenet5").remaining.specs[0].diagnostics
    assert d.code == "E0114" and "cannot be repaired" in d.help
