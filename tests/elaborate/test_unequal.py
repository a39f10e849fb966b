"""Inputs of a merge that differ: each proposal (input size, padding, gate) is built, and helps.

Tests `elaborate/unequal.py`.
"""

from __future__ import annotations

import re

import pytest

import archdsl
from archdsl.diagnostics import ArchError, Diagnostic

SIGNAL, IMAGE, VOLUME = "12x5003", "3x33x33", "1x33x33x33"


def told(text: str) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text)
    (d,) = caught.value.diagnostics
    return d


def upsampled(input_: str, pool: str, up: str, merge: str) -> str:
    nodes = ["a: conv 8 kernel=3", f"b: {pool}", f"c: {up}", f"d: {merge} <- c, a"]
    return f"input: {input_}\nnet:\n" + "".join(f"  {node}\n" for node in nodes)


# --- another input size --------------------------------------------------------------------------------------


@pytest.mark.parametrize("merge", ["concat", "add", "mul"])
@pytest.mark.parametrize(
    ("input_", "pool", "up"),
    [
        (SIGNAL, "2 maxpool", "2 deconv 8 /2"),
        (SIGNAL, "3 maxpool", "upsample 3"),
        (IMAGE, "2x2 maxpool", "2x2 deconv 8 /2"),
        (IMAGE, "2x2 maxpool ceil", "upsample 2"),
        (VOLUME, "2x2x2 avgpool", "2x2x2 deconv 8 /2"),
        (VOLUME, "1x2x2 avgpool", "1x2x2 deconv 8 /1x2x2"),
        ("[12, ecg=5003]", "maxpool kernel=2", "upsample 2"),
    ],
)
def test_the_named_input_sizes_are_legal(input_: str, pool: str, up: str, merge: str) -> None:
    text = upsampled(input_, pool, up, merge)
    help_ = told(text).help
    match = re.match(r"the sizes agree if ([\w, ]+) (?:is a multiple|are multiples) of (\d+), e\.g\. (.+)$", help_)
    assert match, help_
    step, near = int(match[2]), [int(number) for number in re.findall(r"\d+", match[3])]
    assert near and all(number % step == 0 for number in near)
    for number in near:
        other = re.sub(r"(?<=[x=])(5003|33)(?!\d)", str(number), input_)
        archdsl.loads(text.replace(input_, other))


def test_the_whole_network_decides_about_the_size() -> None:
    """The first merge fits at every even number of quarters; those that follow need a multiple of 16."""
    d = told("{extends: unet, input: 12x5000, axes: 1}")
    assert d.help == "the sizes agree if L is a multiple of 16, e.g. 4992 or 5008"
    for size, fits in ((4992, True), (5008, True), (4996, False), (4984, False)):
        text = f"{{extends: unet, input: 12x{size}, axes: 1}}"
        if fits:
            archdsl.loads(text)
        else:
            told(text)
    d = told("extends: unet\ninput: 3x250x244\n")
    assert d.help == "the sizes agree if H and W are multiples of 16, e.g. 240 or 256"


def test_a_size_with_a_rest() -> None:
    text = "input: 1x{0}\nnet:\n  a: 3 conv 8 valid\n  b: 2 maxpool\n  c: upsample 2\n  d: concat <- c, a\n"
    assert told(text.format(101)).help == "the sizes agree if L is a multiple of 2, e.g. 100 or 102"
    text = text.replace("3 conv 8 valid", "4 conv 8").replace("2 maxpool", "3 maxpool").replace("e 2", "e 3")
    assert told(text.format(101)).help == "the sizes agree if L is a multiple of 3, e.g. 99 or 102"
    text = text.replace("4 conv 8", "3 conv 8 valid")
    assert told(text.format(100)).help == "the sizes agree if L is 2 more than a multiple of 3, e.g. 98 or 101"
    archdsl.loads(text.format(98))
    archdsl.loads(text.format(101))


def test_sizes_without_a_closed_form() -> None:
    """`same` with a stride fixes the input size, so only one other size is known to fit."""
    text = "input: 1x{0}\nnet:\n  a: 3 conv 8 /2 same\n  b: 3 conv 8 /2 same\n  c: upsample 2\n  d: concat <- c, a\n"
    d = told(text.format(101))
    size = re.fullmatch(r"the sizes agree if L is (\d+)", d.help)
    assert size, d.help
    archdsl.loads(text.format(size[1]))


def test_a_residual_says_the_same() -> None:
    text = "input: 8x{0}\nnet:\n  r: {{residual: {{a: 2 maxpool, b: upsample 2}}{1}}}\n"
    for shortcut in ("", ", shortcut: identity"):
        d = told(text.format(101, shortcut))
        assert d.help.startswith("the sizes agree if L is a multiple of 2, e.g. 100 or 102")
        archdsl.loads(text.format(100, shortcut))


@pytest.mark.parametrize(
    "net",
    [
        "{a: 3 conv 8 valid, b: 5 conv 8 valid <- input, c: 'concat <- a, b'}",
        "{a: 3 conv 8 /2, b: 3 conv 8 /3 <- input, c: 'concat <- a, b'}",
        "{a: 3 conv 4, b: 3 conv 8 <- input, c: 'add <- a, b'}",
        "{a: 3 conv 4, b: [2 maxpool, upsample 2, 3 conv 8], c: 'add <- a, b'}",
    ],
)
def test_no_size_is_named_where_none_helps(net: str) -> None:
    assert "the sizes agree" not in told(f"input: 12x101\nnet: {net}\n").help


# --- padding -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("input_", "node", "pad"),
    [
        ("12x5000", "8 conv 12", "[3,4]"),
        ("12x5000", "conv 12 kernel=8", "[3,4]"),
        ("12x5000", "8 dwconv", "[3,4]"),
        ("12x5000", "8 conv 12 dilation=2", "7"),
        ("12x32x32", "4x4 conv 12", "[1,1,2,2]"),
        ("12x32x32", "3x4 conv 12", "[1,1,1,2]"),
        ("12x8x8x8", "2x2x2 conv 12", "[0,0,0,1,1,1]"),
        ("12x32x32", "3x3 maxpool /1", "1"),
        ("12x5000", "3 avgpool /1", "1"),
    ],
)
@pytest.mark.parametrize("merge", ["add", "concat", "mul"])
def test_the_padding_that_is_missing(input_: str, node: str, pad: str, merge: str) -> None:
    text = "input: {}\nnet:\n  a: {}\n  b: {} <- a, input\n"
    d = told(text.format(input_, node, merge))
    assert d.help == f"`a` has no padding: `pad={pad}`, or `pad=same`, makes the sizes equal"
    for written in (f"pad={pad}", "pad=same"):
        archdsl.loads(text.format(input_, f"{node} {written}", merge))


def test_the_padding_of_a_strided_window() -> None:
    text = "input: 12x5000\nnet:\n  a: 8 conv 12 /2{}\n  b: 7 conv 12 /2 <- input\n  c: add <- a, b\n"
    assert told(text.format("")).help == "`a` has no padding: `pad=[3,4]` makes the sizes equal"
    archdsl.loads(text.format(" pad=[3,4]"))


def test_the_padding_of_several_windows() -> None:
    text = "input: 12x500\nnet:\n  r: {{residual: {{a: '8 conv 12{0}', b: '{1} conv 12{2}'}}}}\n"
    how = "`pad=[3,4]`, or `pad=same`, makes the sizes equal"
    assert told(text.format("", 8, "")).help.startswith(f"`r.a` and `r.b` have no padding: {how}; or write a shortcut")
    how = "`pad=[3,4]` on `r.a` and `pad=[1,2]` on `r.b`, or `pad=same`, makes the sizes equal"
    assert told(text.format("", 4, "")).help.startswith(f"`r.a` and `r.b` have no padding: {how}")
    archdsl.loads(text.format(" pad=[3,4]", 4, " pad=[1,2]"))
    archdsl.loads(text.format(" pad=same", 8, " pad=same"))


@pytest.mark.parametrize(
    "net",
    [
        "{a: 8 conv 12 valid, b: 'add <- a, input'}",
        "{a: 8 conv 11, b: 'add <- a, input'}",
        "{a: 8 conv 12, b: 3 conv 12, c: relu, d: 3 maxpool, e: 'add <- d, input'}",
        "{a: 8 conv 12, b: 3 conv 12 valid, e: 'add <- b, a'}",
    ],
)
def test_no_padding_is_named_where_it_does_not_help(net: str) -> None:
    assert "no padding" not in told(f"input: 12x101\nnet: {net}\n").help


# --- gates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("input_", "ones", "window"), [("12x50", "x1", "1"), ("3x9x9", "x1x1", "1x1"), ("1x5x5x5", "x1x1x1", "1x1x1")]
)
def test_a_gate_from_a_vector(input_: str, ones: str, window: str) -> None:
    text = (
        f"input: {{scan: {input_}, meta: 7}}\nnet:\n  hidden: fc 4 relu <- meta\n  gate: fc 8 sigmoid\n"
        f"  a: {window} conv 8 <- scan\n  s: mul <- a, gate\n"
    )
    inside = f"`{window} conv 4 relu` for `hidden` and `{window} conv 8 sigmoid` for `gate`"
    assert told(text).help == f"a gate keeps its axes: write `meta: 7{ones}` as the input, {inside}"
    mended = text.replace("meta: 7", f"meta: 7{ones}").replace("fc ", f"{window} conv ")
    assert archdsl.loads(mended).graph.by_path["s"].shape[0] == 8
    text = text.replace("  gate: fc 8 sigmoid\n", "").replace("a, gate", "a, meta").replace("meta: 7", "meta: 8")
    text = text.replace("  hidden: fc 4 relu <- meta\n", "")
    assert told(text).help == f"a gate keeps its axes: write `meta: 8{ones}` as the input"
    archdsl.loads(text.replace("meta: 8", f"meta: 8{ones}"))


def test_a_gate_behind_a_global_pool() -> None:
    text = "input: 8x9x9\nnet:\n  a: 3x3 conv 8\n  g: [gap, fc 2 relu, {}]\n  s: mul <- a, g\n"
    d = told(text.format("fc 8 sigmoid"))
    assert d.help == "a gate keeps its axes: write `1x1 conv 2 relu` for `g.1` and `1x1 conv 8 sigmoid` for `g.2`"
    archdsl.loads(text.replace("fc 2", "1x1 conv 2").format("1x1 conv 8 sigmoid"))
    assert told(text.format("fc 4")).help == "a gate of an image is C x 1 x 1, with its 8 channels"
    assert told(text.format("flatten, fc 8")).help == "a gate of an image is C x 1 x 1, with its 8 channels"


def test_a_vector_and_a_signal_are_joined_as_vectors() -> None:
    text = "input: {ecg: 8x90, meta: 7}\nnet:\n  a: 3 conv 8 <- ecg\n  s: concat <- a, meta\n"
    assert told(text).help == "`concat` joins vectors: write a `flatten`, or a `gap` and a `flatten`, after `a`"
    for after in ("[flatten]", "[gap, flatten]"):
        assert archdsl.loads(text.replace("  s:", f"  v: {after}\n  s:").replace("<- a, m", "<- v, m")).graph
    assert (
        told(text.replace("concat", "add")).help == "`add` does not broadcast a vector: its inputs have the same axes"
    )
