"""What is wrong with a spec, and how it is told.

`tests/diagnostics/goldens/*.yaml` are specs with the mistakes that people make; beside each stands what is printed.
After a change `pytest --update-goldens` writes it anew: read the difference.

Tests `diagnostics/color.py`, `diagnostics/diagnostic.py`, `diagnostics/error.py`, `diagnostics/place.py`,
`diagnostics/suggest.py` and `diagnostics/text.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics import (
    ArchError,
    Diagnostic,
    Edit,
    Fix,
    Label,
    Report,
    Source,
    Span,
    TooManyErrors,
    closest,
    did_you_mean,
    escape_control,
    render_text,
)
from archdsl.diagnostics.machine import to_json
from archdsl.diagnostics.report import MAX_COPIES, MAX_DIFFERENT
from archdsl.explain.sarif import to_sarif

FOLDER = Path(__file__).parent / "goldens"
SPECS = sorted(FOLDER.glob("*.yaml"))


def told(text: str, name: str = "spec.yaml") -> tuple[Diagnostic, ...]:
    """The diagnostics of a spec: its errors, or the warnings of a network that it gives all the same."""
    try:
        return archdsl.loads(text, name=name).graph.notes
    except ArchError as problem:
        return problem.diagnostics


def codes(text: str) -> list[str]:
    return [d.code for d in told(text)]


# --- what people get wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_what_is_told(path: Path, request: pytest.FixtureRequest) -> None:
    found = told(path.read_text(encoding="utf-8"), path.name)
    assert found, "nothing is wrong with this spec"
    text = render_text(found)
    golden = path.with_suffix(".txt")
    if request.config.getoption("--update-goldens"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_how_it_is_told(path: Path) -> None:
    """Messages are terse, every place lies in the text, and the order is that of the file."""
    found = told(path.read_text(encoding="utf-8"), path.name)
    assert list(found) == sorted(found, key=Diagnostic.sort_key)
    for d in found:
        assert d.message[:1].islower() or not d.message[:1].isalpha() or d.message.startswith("YAML "), d.message
        assert not d.message.endswith((".", "!")) and "\n" not in d.message
        assert len(d.message) <= 160
        assert not d.help.endswith(".") and not d.help.startswith(("Did", "Use"))
        assert "Input should" not in d.message and "None" not in d.message
        assert d.span is not None
        for span in (d.span, *(label.span for label in d.labels)):
            assert 0 <= span.start <= span.end <= len(span.source.text)
            assert span.text.strip() == span.text or "\n" in span.text or d.code == "E0101", f"{d.code} marks blanks"


def test_no_golden_is_left_over() -> None:
    assert {p.stem for p in FOLDER.glob("*.txt")} == {p.stem for p in SPECS}


def test_the_shape_conflict_of_the_design() -> None:
    """Both ends of the conflict, the place where the size was halved, the call, its copies, and what to do."""
    text = (FOLDER / "residual_shortcut_identity.txt").read_text(encoding="utf-8")
    assert (
        text == "error[E0412]: the two inputs of `add` have different shapes\n"
        "  --> residual_shortcut_identity.yaml:10:15\n"
        "   |\n"
        " 8 |       conv1: 3x3 conv w /s\n"
        "   |                         -- halved here: N x 128 x 28 x 28\n"
        "10 |     shortcut: identity\n"
        "   |               ^^^^^^^^ N x 64 x 56 x 56, from `layer1.1` unchanged\n"
        "   = in layer2.0 = basic(128, 2), called at line 16 (and 4 more like it)\n"
        "help: remove `shortcut:` to get a 1x1 projection with stride 2\n"
    )


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("input: 3x8x8\nnet:\n  a: 3x3 conv 8 strides=2\n", 3, "strides=2"),
        ("input: 3x8x8\nnet:\n  a: {op: conv, out: 8, kernal: 3}\n", 3, "kernal"),
        ("input: 3x8x8\nnet:\n  a: 2 * 3x3 cnov 8 as x{0} when true\n", 3, "cnov"),
        ("input: 3x8x8\nnet:\n  a: 3x3 conv 8 /2 when widht > 3\n", 3, "widht"),
        ("input: 3x8x8\nnet:\n  a: 3x3 conv (8 + widht)*2\n", 3, "widht"),
        ("input: 3x8x8\nargs: {n: [1, 2]}\nnet:\n  a: n[4] * relu\n", 4, "4"),
        ("input: 3x8x8\nblocks:\n  f(w, s=1, w): [relu]\nnet: [f(3)]\n", 3, "w"),
        ("input: 3x8x8\nblocks:\n  f(w) <- x, y, x: [relu]\nnet: [relu]\n", 3, "x"),
        ("input: 3x8x8\nnet:\n  a: relu\n  b: add <- a , bb\n", 4, "bb"),
        ("input: 3x8x8\nnet:\n  a: |\n    3x3 conv 8\n    strides=2\n", 3, "|"),
        ('input: 3x8x8\nnet:\n  a: "3x3 conv 8 strides=2"\n', 3, "strides=2"),
        ("input: 3x8x8\nnet:\n  a: '3x3 conv 8 strides=2'\n", 3, "strides=2"),
        ("input: 3x8x8\nnet: {a: 3x3 conv 8, b: 3x3 conv 8 /0}\n", 2, "0"),
        ("input: 3x8x8\nnet:\n  a: dropout 1.5 # too much\n", 3, "1.5"),
        ("input: [3, H=8, W=0]\nnet: [relu]\n", 1, "0"),
        ("input: 3x8x8\nnet: [gap, fc 2]\npreprocess: {mean: [0.5, x]}\n", 3, "x"),
        ("input: 3x8x8\nnet: [gap, fc 2]\nclaims: {macs: {value: 3 apples}}\n", 3, "3 apples"),
    ],
)
def test_the_caret_is_exact(text: str, line: int, word: str) -> None:
    (d,) = told(text)
    assert d.span is not None
    assert d.span.line == line
    assert d.span.text.splitlines()[0] == word


def test_every_copy_of_a_block_is_the_same_mistake() -> None:
    (d,) = told("input: 12x8x8\nblocks:\n  b(w): {c: 3x3 conv w groups=5}\nnet: {l: 36 * b(12)}\n")
    assert d.notes[0] == "in l.0 = b(12), called at line 4 (and 35 more like it)"


def test_the_walk_goes_on_behind_a_mistake() -> None:
    text = """
input: 3x32x32
net:
  a: 3x3 conv 16 groups=5
  b: {residual: {c: 3x3 conv 32 /2}, shortcut: identity}
  c: 3x3 conv 16 groups=7
  d: gn 5
  e: 3x3 cnov 8
  f: fc 10
  g: 3x3 conv 8
"""
    assert codes(text) == ["E0403", "E0412", "E0403", "E0403", "E0301"]


@pytest.mark.parametrize(
    "text",
    [
        "input: 3x8x8\nnet: {s: split 2, a: relu <- s.0, b: relu <- s.1, c: 'add <- a, b'}\n",
        "input: 3x8x8\nnet: {a: {residual: {c: 3x3 cnov 8}}, b: 3x3 conv 8, c: 'add <- a, b', d: 'concat <- c, a'}\n",
        "input: 3x8x8\nblocks:\n  f: 3x3 cnov 8\nnet: {a: 3 * f, b: relu <- a, c: relu <- a.0}\n",
        "input: 3x8x8\nnet: {a: 3x3 conv in//0, b: 3x3 conv in*2, c: fc 2*in}\n",
        (
            "input: 3x8x8\nnet: {trunk: {x: 3x3 cnov 8, y: relu}, b: relu <- trunk.y, c: relu <- trunk.x}\noutputs: {o:"
            " trunk.x}\n"
        ),
        "input: 3x8x8\nnet: {a: 5 * 9x9 conv 8 valid}\n",
        "input: 3x8x8\nblocks:\n  f(w: [relu]\nnet: {a: f(3), b: f(4, 5)}\n",
    ],
)
def test_one_mistake_is_one_error(text: str) -> None:
    assert len(codes(text)) == 1


def test_an_argument_that_there_is_not() -> None:
    text = "input: 3x8x8\nargs: {classes: 3}\nnet: [gap, fc classes]\n"
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text, clases=5)
    (d,) = caught.value.diagnostics
    assert (d.code, d.help) == ("E0212", "did you mean `classes`?")


def test_an_argument_of_the_wrong_kind() -> None:
    text = "input: 3x8x8\nargs: {classes: 3}\nnet: [gap, fc classes]\n"
    with pytest.raises(ArchError) as caught:
        archdsl.loads(text, classes="relu")
    assert [d.code for d in caught.value.diagnostics] == ["E0308"]


# --- collecting ------------------------------------------------------------------------------------------


def source(text: str, name: str = "s.yaml") -> Source:
    return Source(name, text)


def at(src: Source, word: str) -> Span:
    start = src.text.index(word)
    return Span(src, start, start + len(word))


def test_a_report_counts_copies() -> None:
    src, report = source("abc"), Report()
    for n in range(3):
        report.add(Diagnostic("E0403", f"copy {n}", at(src, "b")))
    report.add(Diagnostic("E0404", "other", at(src, "a")))
    first, second = report.diagnostics()
    assert (first.code, second.message, second.notes) == ("E0404", "copy 0", ("and 2 more like it",))


def test_a_report_ends_where_nobody_reads_on() -> None:
    src, report = source("x" * 1000), Report()
    with pytest.raises(TooManyErrors):
        for n in range(1000):
            report.add(Diagnostic("E0301", "wrong", Span(src, n, n + 1)))
    assert len(report.diagnostics()) == MAX_DIFFERENT
    assert "only the first 200 are listed" in report.diagnostics()[-1].notes[-1]


def test_copies_without_end_are_not_counted_out() -> None:
    src, report = source("x"), Report()
    with pytest.raises(TooManyErrors):
        for _ in range(MAX_COPIES + 1):
            report.add(Diagnostic("E0301", "wrong", at(src, "x")))
    assert len(report.diagnostics()) == 1


def test_warnings_are_dropped_not_fatal() -> None:
    src, report = source("x" * 1000), Report()
    for n in range(1000):
        report.add(Diagnostic("W0901", "odd", Span(src, n, n + 1), severity="warning"))
    report.raise_errors()
    assert len(report.diagnostics()) == MAX_DIFFERENT
    assert not report.failed


@pytest.mark.parametrize(
    ("word", "best"),
    [
        ("cnov", "conv"),
        ("Conv", "conv"),
        ("maxpol", "maxpool"),
        ("x", None),
        ("", None),
        ("residul", "residual"),
        ("c" * 10_000, None),
    ],
)
def test_what_was_meant(word: str, best: str | None) -> None:
    assert closest(word, ["conv", "maxpool", "residual"]) == best


def test_help_lists_what_there_is() -> None:
    assert did_you_mean("x", ["conv", "fc"]) == "known: conv, fc"
    assert did_you_mean("x", []) == ""
    equal = did_you_mean("gop", ["gap", "gmp", "gelu", "dropout"])
    assert equal in ("did you mean `gap` or `gmp`?", "did you mean `gmp` or `gap`?")
    assert not vars(equal)["safe"]
    assert did_you_mean("x", [f"name{n}" for n in range(100)]).endswith("name39, ...")


# --- text ------------------------------------------------------------------------------------------------


def rendered(d: Diagnostic) -> list[str]:
    return render_text([d]).splitlines()


def test_wide_characters_take_two_columns() -> None:
    src = source("a: \u4f60\u597d conv\n")
    lines = rendered(Diagnostic("E0301", "m", at(src, "conv")))
    assert lines[3:] == ["1 | a: \u4f60\u597d conv", "  |         ^^^^"]


def test_tabs_take_one_column() -> None:
    src = source("a:\tconv\n")
    assert rendered(Diagnostic("E0301", "m", at(src, "conv")))[3:] == ["1 | a: conv", "  |    ^^^^"]


def test_invisible_characters_are_shown() -> None:
    src = source("a: co\u200bnv x\n")
    assert rendered(Diagnostic("E0301", "m", at(src, "x")))[3:] == ["1 | a: co\\u200bnv x", "  |               ^"]
    assert escape_control("\x1b[31m\u202e\n") == "\\x1b[31m\\u202e\\n"
    assert escape_control("caf\u00e9 \u4f60") == "caf\u00e9 \u4f60"


def test_nothing_that_is_told_steers_a_terminal() -> None:
    src = source("\x1b[31m: x\n", "\x1b[32m.yaml")
    d = Diagnostic(
        "E0301",
        "\x1b[1m",
        at(src, "x"),
        "\x07",
        notes=("\x1b[2m\n\x1b[3m",),
        help="\x9b31m",
        labels=(Label(at(src, ":"), "\u202e"),),
    )
    assert not any(c in render_text([d]) for c in "\x1b\x07\x9b\u202e")


def test_a_long_line_is_cut_around_the_caret() -> None:
    src = source("x" * 500_000 + " conv " + "y" * 500_000)
    lines = rendered(Diagnostic("E0301", "m", at(src, "conv")))
    assert max(map(len, lines)) < 200
    shown, marked = lines[3:]
    assert shown[marked.index("^") : marked.index("^") + 4] == "conv"
    assert shown[4:].startswith("...") and shown.endswith("...")


def test_two_marks_far_apart_on_one_long_line() -> None:
    src = source("first " + "x" * 5000 + " second")
    lines = rendered(Diagnostic("E0102", "m", at(src, "second"), labels=(Label(at(src, "first"), "here"),)))
    assert max(map(len, lines)) < 200
    for shown, marked in zip(lines[3::2], lines[4::2], strict=True):
        column = min(marked.find(c) for c in "^-" if c in marked[4:])
        assert shown[column:].startswith(("first", "second"))


def test_a_mark_over_several_lines_is_that_of_the_first() -> None:
    src = source("net:\n  a: 1\n  b: 2\n")
    assert rendered(Diagnostic("E0301", "m", Span(src, 0, len(src.text))))[3:] == ["1 | net:", "  | ^^^^"]


def test_the_end_of_the_file_has_a_place() -> None:
    src = source("net:\n")
    assert rendered(Diagnostic("E0301", "m", Span(src, 5, 5)))[3:] == ["2 |", "  | ^"]


def test_marks_in_two_files() -> None:
    a, b = source("extends: b.yaml\n", "a.yaml"), source("# x\nnet: 3\n", "b.yaml")
    text = render_text([Diagnostic("E0202", "m", at(b, "3"), labels=(Label(at(a, "b.yaml"), "extended here"),))])
    assert (
        text == "error[E0202]: m\n --> b.yaml:2:6\n  |\n2 | net: 3\n  |      ^\n"
        " ::: a.yaml:1:10\n  |\n1 | extends: b.yaml\n  |          ------ extended here\n"
    )


def test_colours_only_where_asked_for() -> None:
    d = Diagnostic("E0301", "m", at(source("x"), "x"), help="h")
    assert "\x1b[" not in render_text([d])
    assert render_text([d], color=True).startswith("\x1b[1;31merror[E0301]\x1b[0m: \x1b[1mm\x1b[0m\n")
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", render_text([d], color=True)) == render_text([d])


def test_without_a_place_there_is_no_excerpt() -> None:
    assert render_text([Diagnostic("E0205", "m", help="h")]) == "error[E0205]: m\nhelp: h\n"


def test_an_error_is_its_own_text() -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.loads("input: 3x8x8\nnet: [3x3 cnov 8]\n")
    assert str(caught.value) == render_text(caught.value.diagnostics).rstrip("\n")


# --- machine formats -------------------------------------------------------------------------------------


def test_json_tells_the_same() -> None:
    found = told("input: 3x8x8\nnet:\n  a: 3x3 cnov 8\n")
    (item,) = to_json(found)
    assert item == {
        "code": "E0301",
        "severity": "error",
        "message": "unknown op `cnov`",
        "file": "spec.yaml",
        "line": 3,
        "column": 10,
        "end_line": 3,
        "end_column": 14,
        "notes": [],
        "help": "did you mean `conv`?",
        "fixes": [
            {
                "title": "replace `cnov` by `conv`",
                "safe": True,
                "edits": [
                    {"file": "spec.yaml", "line": 3, "column": 10, "end_line": 3, "end_column": 14, "text": "conv"}
                ],
            }
        ],
    }
    json.dumps(item)


def test_the_edits_of_a_fix_have_positions() -> None:
    source = Source("a.yaml", "net:\n  a: x\n")
    fix = Fix("write `relu`", (Edit(Span(source, 10, 11), "relu"), Edit(Span(source, 0, 0), "# \n")), safe=False)
    found = [Diagnostic("E0301", "unknown op", Span(source, 10, 11), fixes=(fix,))]
    (item,) = to_json(found)
    assert [(edit["line"], edit["column"], edit["end_column"]) for edit in item["fixes"][0]["edits"]] == [
        (2, 6, 7),
        (1, 1, 1),
    ]
    (result,) = to_sarif(found, "1.0")["runs"][0]["results"]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "a.yaml"}
    assert [made["insertedContent"]["text"] for made in change["replacements"]] == ["relu", "# \n"]
    assert change["replacements"][0]["deletedRegion"]["endColumn"] == 7


def test_sarif_tells_the_same() -> None:
    found = told((FOLDER / "residual_shortcut_identity.yaml").read_text(encoding="utf-8"))
    report = to_sarif(found, "1.0")
    (result,) = report["runs"][0]["results"]
    assert result["ruleId"] == "E0412"
    assert result["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 10,
        "startColumn": 15,
        "endLine": 10,
        "endColumn": 23,
    }
    assert len(result["relatedLocations"]) == 1
    json.dumps(report)
