"""What people write first, coming from Keras, PyTorch, Ultralytics, Caffe, Darknet and papers, and the answers.

`first_attempts.txt` has one section for each attempt: the spec (its nodes, if they follow `HEAD`), the mended spec
after `|` (where it is not the attempt with each wrong node replaced), and the diagnostics: code, position and message,
then `=> proposal`. `=> -` stands for an error without a node to propose. The indented help follows if it has more
than the proposal. `pytest --update-goldens` writes messages and help anew; proposals are written by hand, and the tests
build every one of them.

Tests `language/foreign/__init__.py`, `language/foreign/almost.py`, `language/foreign/calls.py`,
`language/foreign/convert.py`, `language/foreign/files.py`, `language/foreign/layers.py`, `language/foreign/missing.py`,
`language/foreign/sections.py`, `language/foreign/words.py` and `language/foreign/write.py`.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest

import archdsl
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.language.read_nodes import readable

FILE = Path(__file__).with_name("first_attempts.txt")


HEAD = "input: 3x32x32\nnet:\n"
MESSAGE = re.compile(r"[EW]\d{4} \d+:\d+ ")


class Attempt(NamedTuple):
    name: str
    spec: str
    proposals: list[str]
    mended: str


def read() -> list[Attempt]:
    attempts = []
    for section in re.split(r"(?m)^## ", FILE.read_text(encoding="utf-8"))[1:]:
        name, *lines = section.splitlines()
        end = next(at for at, line in enumerate(lines) if line.startswith("| ") or MESSAGE.match(line))
        spec = "".join(f"{line}\n" for line in lines[:end])
        own = "".join(f"{line[2:]}\n" for line in lines if line.startswith("| "))
        proposals = [line[3:] for line in lines if line.startswith("=> ")]
        attempts.append(Attempt(name, HEAD + spec if spec.startswith("  ") else spec, proposals, own))
    return attempts


def printed(attempt: Attempt) -> str:
    """The section of an attempt in `first_attempts.txt`."""
    spec = attempt.spec.removeprefix(HEAD) if attempt.spec.startswith(f"{HEAD}  ") else attempt.spec
    lines = [f"## {attempt.name}", *spec.splitlines()]
    lines += [f"| {line}" for line in attempt.mended.splitlines()]
    for d, proposal in zip_longest(told(attempt.spec), attempt.proposals, fillvalue="?"):
        assert isinstance(d, Diagnostic) and d.span is not None
        lines += [f"{d.code} {d.span.line}:{d.span.column} {d.message}", f"=> {proposal}"]
        if d.help != f"write `{proposal}`":
            lines += [f"   {line}" for line in d.help.splitlines()]
    return "".join(f"{line}\n" for line in lines)


ATTEMPTS = read()


def told(spec: str) -> tuple[Diagnostic, ...]:
    try:
        return archdsl.loads(spec, name="spec.yaml").graph.notes
    except ArchError as problem:
        return problem.diagnostics


def mended(attempt: Attempt, found: tuple[Diagnostic, ...]) -> str:
    """The spec with every wrong node replaced by what is proposed for it."""
    if attempt.mended:
        return attempt.mended
    text = attempt.spec
    for d, proposal in reversed(list(zip(found, attempt.proposals, strict=True))):
        assert d.span is not None
        start, end = d.span.start, d.span.end
        if d.code != "E0318":  # a word of the node: the node is the rest of its line
            line = text.rfind("\n", 0, start) + 1
            match = re.compile(r"\s*(?:- |[\w.]+: )").match(text, line)
            assert match is not None
            start, end = match.end(), text.find("\n", start)
        text = text[:start] + proposal + text[end:]
    return text


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_every_proposal_is_a_valid_node(attempt: Attempt) -> None:
    found = told(attempt.spec)
    assert len(found) == len(attempt.proposals), [d.message for d in found]
    for d, proposal in zip(found, attempt.proposals, strict=True):
        assert d.help, d.message
        assert proposal == "-" or f"`{proposal}`" in d.help, d.help
    if attempt.mended or "-" not in attempt.proposals:
        text = mended(attempt, found)
        try:
            archdsl.loads(text)
        except ArchError as problem:
            pytest.fail(f"{text}\n{problem}")


def test_messages(request: pytest.FixtureRequest) -> None:
    sections = "".join(map(printed, ATTEMPTS))
    if request.config.getoption("--update-goldens"):
        FILE.write_text(sections, encoding="utf-8")
    assert FILE.read_text(encoding="utf-8") == sections


def test_no_attempt_is_there_twice() -> None:
    assert len({a.name for a in ATTEMPTS}) == len({a.spec for a in ATTEMPTS}) == len(ATTEMPTS)


@pytest.mark.parametrize("seed", range(4))
def test_attempts_with_typing_errors_are_answered_without_a_traceback(seed: int) -> None:
    """Characters of each attempt are removed, doubled or replaced; nothing but diagnostics may come of it."""
    source = random.Random(seed)
    for attempt in ATTEMPTS:
        text = list(attempt.spec)
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(text))
            text[at] = source.choice(["", text[at] * 2, *"()[]{}=,:-/x@*'\" 0"])
        told("".join(text))


@pytest.mark.parametrize(
    "node",
    [
        "f(" * 400 + ")" * 400,
        "-" * 900 + "1",
        "a" + ".b" * 400,
        "[" * 60 + "]" * 60,
        "Conv2D(" + "1," * 450,
        "3x" * 450,
    ],
)
def test_long_calls_are_answered_without_a_traceback(node: str) -> None:
    assert told(f'input: 3x8x8\nnet:\n  a: "{node}"\n')


def test_the_table_for_people_from_other_tools_has_valid_nodes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    table = page.partition("## Coming from other tools")[2].partition("## The top level")[0]
    nodes = [node for row in re.findall(r"(?m)^\|.*\|(.*)\|$", table) for node in re.findall(r"`([^`]+)`", row)]
    assert len(nodes) > 15
    assert [node for node in nodes if not readable(node)] == []


def test_a_network_without_errors_does_not_load_the_answers() -> None:
    code = (
        "import sys, archdsl; archdsl.load('resnet18').graph;"
        "print([name for name in sys.modules if name.startswith('archdsl.language.foreign')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("net", "word"),
    [
        ("{conv: [3x3 cnov 8]}", "cnov"),
        ("{conv: [3x3 cnov 8, relu], act: relu}", "cnov"),
        ("{conv: {a: 3x3 cnov 8}, norm: bn}", "cnov"),
        ("{relu: [relu, tnah]}", "tnah"),
        ("[{conv: 3x3 conv 8, bn: bnx}]", "bnx"),
        ("{layer: 3x3 cnov 8, kind: relu}", "cnov"),
        ("{Conv2D: 3x3 conv 8, b: 3x3 cnov 8}", "cnov"),
        ("{a: 3x3 conv 8 gruops=2}", "gruops=2"),
        ("{a: 3x3 conv 8 rleu}", "rleu"),
        ("{a: 3x3 conv 8 relu bn}", "bn"),
        ("{a: 3x3 conv 8 relu gelu}", "relu gelu"),
        ("{a: 'conv(16, kernel=3, strid=2)'}", "strid=2"),
        ("{a: relu(3)}", "3"),
        ("{a: 3x3 conv w + 1}", "+"),
        ("{a: 3x3 conv 8 + 1}", "+"),
        ("{a: 3x3 conv w * 2}", "*"),
        ("{a: 3x3 conv 8%0}", "%"),
        ("{a: fc nobias out=2+}", ""),
        ("{a: fc 2+ sigmoid}", ""),
        ("{a: 3x3 conv w - 1}", "-"),
        ("{a: 3x3 conv w // 4}", "//"),
        ("{a: fc w + v}", "+"),
        ("{a: 3x3 conv W filters=3 activation=relu}", "filters=3"),
        ("{a: 3x3 conv out_channels=W}", "out_channels=W"),
        ("{a: 'conv(3, 64, 3)'}", "64"),
    ],
)
def test_a_mistake_in_our_own_notation_keeps_its_error(net: str, word: str) -> None:
    """A misspelt word, or a call whose arguments may have another order, is not answered with a node without it."""
    (d,) = told(f"input: 3x8x8\nnet: {net}\n")
    assert d.code != "E0318"
    assert d.span is not None and d.span.text == word


@pytest.mark.parametrize(
    ("node", "proposal"),
    [
        ("3x3 conv w, relu", "3x3 conv w relu"),
        ("conv 3x3 w stride 2", "3x3 conv w /2"),
        ("3x3 conv w dropout 0.3", "[3x3 conv w, dropout 0.3]"),
        ("fc n_classes, softmax", "fc n_classes softmax"),
        ("2 * conv 3x3 w when true", "2 * 3x3 conv w when true"),
        ("Conv2D(w, 3)", "3x3 conv w valid"),
        ("Conv2D(2*w, 3, strides=2)", "3x3 conv 2*w /2 valid"),
    ],
)
def test_names_of_arguments_stay(node: str, proposal: str) -> None:
    (d,) = told(f"input: 3x8x8\nargs: {{w: 8, n_classes: 3}}\nnet:\n  - {node}\n")
    assert f"`{proposal}`" in d.help
