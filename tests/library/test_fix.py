"""Each fix is applied to a wrong spec: what it repairs is gone, nothing else changed, and nothing became worse.

Tests `diagnostics/suggest.py`, `library/fix.py` and `cli/fix.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl import explain
from archdsl.cli import main
from archdsl.diagnostics import ArchError, Diagnostic, Edit, Fix, Source, Span, suggestion
from archdsl.library.check import check_source
from archdsl.library.fix import FixedFile, fix
from tests.diagnostics.test_first_attempts import ATTEMPTS, mended, told
from tests.support.places import PACKAGE

GUIDE = PACKAGE.parent / "docs" / "guides" / "fix-and-watch.md"
HEAD = "input: 3x32x32\nnet:\n"
_DEFAULTS = "input: 4x8x8\ndefaults: {avgpool: {inside: true, stride: 2}}\nnet: {a: 7x7 avgpool adaptive}\n"
FURTHER = {
    "tabs": ("E0101", "input: 3x8x8\nnet:\n\ta: relu\n\tb:\n\t\tresidual: {c: 3x3 conv 3}\n", True),
    "slashes": ("E0101", f"{HEAD}  // the stem\n  a: relu\n", True),
    "no colon": ("E0101", f"{HEAD}  a 3x3 conv 8\n  b: relu\n", True),
    "no space after a colon": ("E0101", f"{HEAD}  a:3x3 conv 8\n  b: relu\n", True),
    "no space after a later colon": ("E0101", f"{HEAD}  a: relu\n  b:3x3 conv 8\n  c: relu\n", True),
    "a node inside another": ("E0410", f"{HEAD}  a: {{residual: {{b: 3x3 conv 3, c: bn}}}}\n  d: relu <- b\n", False),
    "a copy": ("E0102", f"{HEAD}  a: relu\n  b: tanh\n  a: relu\n", True),
    "a mark in the text": ("E0108", f"{HEAD}  a: \ufeffrelu\n", True),
    "a lone return": ("E0108", f"{HEAD}  a: relu\r  b: tanh\n", True),
    "a control character": ("E0108", f"{HEAD}  a: re\x07lu\n", False),
    "a split value": ("E0113", "input: 3x8x8\nnet: {a: relu, b: tanh, c: add <- a, b}\n", True),
    "an argument": ("E0307", f"blocks: {{b(width): 3x3 conv width}}\n{HEAD}  a: b(widht=4)\n", True),
    "a word": ("E0310", f"{HEAD}  a: 3x3 conv 8 rleu\n", True),
    "a word again": ("E0302", f"{HEAD}  a: 3x3 conv 8 bn bn\n", True),
    "cubic": ("E0308", "input: 3x8\nnet: [upsample 2 cubic]\n", False),
    "an operator": ("E0303", f"args: {{w: 1&&0}}\n{HEAD}  a: 3x3 conv (8 if w else 4)\n", True),
    "a lookalike": ("E0303", f"{HEAD}  a: 3x3 conv (2\u00d74)\n", True),
    "a window": ("E0318", f"{HEAD}  a: 3\u00d73 conv 8\n", True),
    "an argument's name": ("E0502", f"{HEAD}  pass: relu\n", False),
    "the only name in reach": ("E0410", f"{HEAD}  layer: relu\n  b: tanh <- layr\n", True),
    "a head word in `net`": (
        "E0201",
        f"{HEAD}  a: relu\n  residual:\n    b: 3x3 conv 3\n\n    c: relu\n  d: fc 2\n",
        False,
    ),
    "a body that is not indented": ("E0201", f"{HEAD}  a:\n    residual:\n    b: 3x3 conv 3\n    c: relu\n", False),
    "a head word as a name": ("E0201", f"{HEAD}  a: gap\n  dense: fc 4\n", False),
    "an activation beside a head word": (
        "E0201",
        f"{HEAD}  a: {{residual: {{b: bn}}, activation: relu}}\n",
        False,
    ),
    "a key too deep": ("E0201", f"{HEAD}  a:\n    residual:\n      b: 3x3 conv 3\n      then: relu\n", False),
    "a key too shallow": ("E0201", f"{HEAD}  a:\n    residual:\n      b: 3x3 conv 3\n  then: relu\n  c: fc 4\n", False),
    "a node without a name": ("E0101", f"{HEAD}  a: relu\n  fc 4\n", False),
    "no node twice in a list": ("E0410", f"{HEAD}  conv1: relu\n  conv2: relu\n  c: add <- conv2, conv3\n", False),
    "spaces in a shape": ("E0202", "input: 1 x 8 x 8\nnet: [relu]\n", True),
    "channels last": ("E0202", "input: (8, 8, 3)\nnet: [relu]\n", False),
    "no channels": ("E0426", "input: 8x8\nnet: {a: 3x3 conv 8}\n", False),
    "a list of defaults": ("E0202", "input: 3x8x8\ndefaults: {conv: [bn, relu]}\nnet: {a: 3x3 conv 8}\n", False),
    "a percentage": ("E0308", f"{HEAD}  a: dropout 50\n", False),
    "a list with an input": ("E0101", f"{HEAD}  a: relu\n  b: [gap, fc 1] <- a # head\n", True),
    "inputs": ("E0201", "inputs: 3x8x8\nnet: [relu]\n", True),
    "inputs of another order": ("E0201", "inputs: (64, 64, 3)\nnet: [relu]\n", False),
    "several inputs": ("E0201", "inputs: {a: 3x8x8, b: 3x8x8}\nnet: {c: 'add <- a, b'}\n", True),
    "a call with a list": ("E0201", f"{HEAD}  a: {{call: b, args: [4]}}\nblocks: {{b(w): 3x3 conv w}}\n", True),
    "a list of nodes": ("E0301", f"{HEAD}  a: relu\n  b: tanh\n  concat: [a, b]\n", True),
    "a product of nodes": ("E0318", f"{HEAD}  a: relu\n  b: a * input\n", True),
    "a dense block": ("E0318", f"{HEAD}  a: dense(4, b(4))\nblocks: {{b(w): 3x3 conv w}}\n", True),
    "one default of two": ("W0424", _DEFAULTS, False),
}
"""Codes whose page shows another case: the code, a spec, and whether its fix is safe."""
_WRONG = re.compile(r"^## Wrong\n(?:(?!^## |^```)[^\n]*\n)*```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def found(text: str, path: Path | None = None) -> tuple[Diagnostic, ...]:
    *_, (report, _) = check_source(Source("spec.yaml", text, path))
    return report.diagnostics


def _cases() -> dict[str, tuple[str, str]]:
    """Every wrong spec of a page whose diagnostic has a fix, and the further ones: the code and the text."""
    pages = {code: match[1] for code in explain.codes() if (match := _WRONG.search(explain.page(code).text))}
    own = {code: (code, text) for code, text in pages.items() if any(d.fixes for d in found(text))}
    return own | {name: (code, text) for name, (code, text, _) in FURTHER.items()}


CASES = _cases()


def fixed(folder: Path, text: str, unsafe: bool = False) -> FixedFile:
    path = folder / "spec.yaml"
    path.write_bytes(text.encode())
    (file,) = fix(path, unsafe=unsafe).files
    assert path.read_bytes() == text.encode()  # `fix` alone writes nothing
    return file


@pytest.mark.parametrize("name", CASES)
def test_what_a_fix_repairs_is_gone(name: str, tmp_path: Path) -> None:
    code, text = CASES[name]
    assert code in {d.code for d in found(text)}
    file = fixed(tmp_path, text, unsafe=True)
    assert file.applied[0].code == code and not file.undone
    after = [(d.code, d.message) for d in file.checked.diagnostics]
    assert code not in {code for code, _ in after}
    assert not [d for d in file.checked.diagnostics if d.severity == "error"], after


@pytest.mark.parametrize("name", FURTHER)
def test_a_fix_that_guesses_is_unsafe(name: str, tmp_path: Path) -> None:
    _, text, safe = FURTHER[name]
    assert bool(fixed(tmp_path, text).applied) is safe


def test_the_guide_lists_the_codes_with_a_fix() -> None:
    listed = re.findall(r"^\| ([EWN]\d{4}) \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == sorted({code for code, _ in CASES.values()}, key=lambda code: (code[1:], code))
    assert len(listed) >= 30


# --- what is safe ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "known", "safe"),
    [
        ("cnov", ["conv", "relu"], True),  # two letters exchanged
        ("strides", ["stride", "pad"], True),
        ("shorcut", ["shortcut"], True),
        ("relx", ["relu", "rely"], False),  # two readings
        ("conv11", ["conv1"], False),  # a digit makes another name
        ("conv2", ["conv1"], False),
        ("clasess", ["clasz"], False),
        ("wdt", ["wdth"], False),  # too short
        ("filters", ["out"], False),
    ],
)
def test_one_typing_error_with_one_reading_is_safe(word: str, known: list[str], safe: bool) -> None:
    assert suggestion(word, known[0], known).safe is safe


def test_a_node_of_another_tool_is_a_guess_under_defaults(tmp_path: Path) -> None:
    text = f"{HEAD}  a: nn.Conv2d(3, 16, kernel_size=3, padding=1)\n"
    assert fixed(tmp_path, text).after == f"{HEAD}  a: 3x3 conv 16\n"
    with_defaults = f"defaults: {{conv: bn relu}}\n{text}"
    assert not fixed(tmp_path, with_defaults).applied
    assert fixed(tmp_path, with_defaults).unsafe == 1
    assert fixed(tmp_path, with_defaults, unsafe=True).checked.status == 0


@pytest.mark.parametrize("node", ["Dense(12, foo=3)", "3x3 conv 8 pad=same padding=1"])
def test_a_node_that_would_lose_a_part_has_no_fix(node: str) -> None:
    assert [d.fixes for d in found(f"{HEAD}  a: {node}\n")] == [()]


def test_a_claim_is_never_changed(tmp_path: Path) -> None:
    file = fixed(tmp_path, f"{HEAD}  a: 3x3 conv 8\nclaims: {{params: 5}}\n", unsafe=True)
    assert [d.code for d in file.checked.diagnostics] == ["E0902"] and not file.changed


def test_safe_fixes_of_what_people_write_first_give_the_spec_written_by_hand(tmp_path: Path) -> None:
    """`first_attempts.txt` has the mended spec of each attempt; every fifth is enough here."""
    equal = 0
    for attempt in ATTEMPTS[::5]:
        file = fixed(tmp_path, attempt.spec)
        if not file.changed or file.checked.status:
            continue
        assert file.after == (attempt.mended or mended(attempt, told(attempt.spec))), attempt.name
        equal += 1
    assert equal >= 20


# --- the text --------------------------------------------------------------------------------------------


def test_everything_else_stays_byte_for_byte(tmp_path: Path) -> None:
    text = "\ufeff# \u00e9\r\ninput:  3x32x32\r\nnet:\r\n  a: 3x3 cnov 8   # c\r\n\r\n  b: [gap,   relu ]\r\n  c: fc 10"
    file = fixed(tmp_path, text)
    assert file.after == text.replace("cnov", "conv")
    file.write()
    assert (tmp_path / "spec.yaml").read_bytes() == file.after.encode()
    assert file.difference().count("\n-") == 1


def test_rounds_go_on_until_nothing_changes(tmp_path: Path) -> None:
    body = "\tb:\n\t\tresidual: {c: 3x3 conv 8 /2}\n\t\tshorcut: identity\n"
    text = f"input: 3x32x32\nnet:\n\ta: 3x3 cnov 16 strides=2\n{body}"
    file = fixed(tmp_path, text, unsafe=True)
    assert [one.code for one in file.applied] == ["E0101", "E0301", "E0201", "E0309", "E0412"]
    assert file.checked.status == 0
    assert fixed(tmp_path, file.after, unsafe=True).after == file.after


def test_quotes_where_the_place_needs_them(tmp_path: Path) -> None:
    text = "input: 3x8x8\nnet: {a: relu, b: tanh, c: 'add a, b'}\n"
    assert fixed(tmp_path, text, unsafe=True).after == text.replace("'add a, b'", '"add <- a, b"')


@pytest.mark.parametrize("one", [True, False])
def test_a_fix_that_adds_errors_is_undone(one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proposal that is wrong: its place becomes two errors. The good fix beside it is still applied."""
    from archdsl.library import fix as module

    checked = module._checked

    def sabotaged(source: Source) -> object:
        result = checked(source)
        at = source.text.find("a: gop")
        bad = Fix("break it", (Edit(Span(source, at + 3, at + 6), "gop\n  z: gop"),), safe=True)
        own = [d for d in result.diagnostics if d.span is not None and d.span.start == at + 3]
        for d in own:
            object.__setattr__(d, "fixes", (bad,))
        return result

    monkeypatch.setattr(module, "_checked", sabotaged)
    text = f"{HEAD}  a: gop\n" + ("" if one else "  b: 3x3 cnov 8\n")
    file = fixed(tmp_path, text)
    assert [undone.title for undone in file.undone] == ["break it"]
    assert file.after == text.replace("cnov", "conv")


def test_a_base_is_not_changed(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(f"{HEAD}  a: 3x3 cnov 8\n")
    file = fixed(tmp_path, "extends: ./base.yaml\nname: own\n", unsafe=True)
    assert file.checked.status == 1 and not file.changed


# --- the command -----------------------------------------------------------------------------------------


def run(*words: object, input: str | None = None) -> Result:
    return CliRunner().invoke(main, ["fix", *map(str, words)], input=input)


def test_the_command_writes_and_reports_what_remains(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.yaml", tmp_path / "b.yaml"
    good.write_text(f"{HEAD}  a: 3x3 cnov 8\n")
    bad.write_text(f"archdsl: 2\n{HEAD}  a: 3x3 conv 8\n  b: 3x3 cnov 8\n")
    diff = run("--diff", tmp_path)
    assert diff.stdout.count("+++ ") == 2 and "cnov" in good.read_text() and diff.exit_code == 1
    done = run(tmp_path)
    assert done.exit_code == 1 and "E0208" in done.stdout
    assert f"fixed {good}:3:10: E0301: replace `cnov` by `conv`" in done.stderr
    assert f"{bad}: --unsafe tries 1 more" in done.stderr
    assert (good.read_text(), bad.read_text().count("conv 8")) == (f"{HEAD}  a: 3x3 conv 8\n", 2)
    assert run("--unsafe", bad).exit_code == 0
    good.write_text(f"{HEAD}  a: 3x3 cnov 8\n")
    good.chmod(0o444)
    unwritten = run(good)
    assert (unwritten.exit_code, unwritten.stdout) == (2, "") and "the file is read-only" in unwritten.stderr
    assert "--force" not in unwritten.stderr


def test_a_yaml_file_that_is_no_spec_is_only_changed_if_it_is_named(tmp_path: Path) -> None:
    hooks, flow = tmp_path / ".pre-commit-config.yaml", tmp_path / "flow.yaml"
    hooks.write_text("repos:\n  - repo: local\n")
    with pytest.raises(ArchError, match="E0114"):
        fix(tmp_path, unsafe=True)
    flow.write_text("{input: 3x8x8, net: [3x3 cnov 8]}\n")
    assert run("--unsafe", tmp_path).exit_code == 0
    assert (hooks.read_text(), flow.read_text().count("conv")) == ("repos:\n  - repo: local\n", 1)
    assert fix(hooks, unsafe=True).files[0].changed


def test_standard_input_and_wrong_usage(tmp_path: Path) -> None:
    done = run("-", input=f"{HEAD}  a: 3x3 cnov 8\n")
    assert (done.exit_code, done.stdout) == (0, f"{HEAD}  a: 3x3 conv 8\n")
    assert run("-", tmp_path).exit_code == 2
    assert run(tmp_path / "none.yaml").exit_code == 2
    assert run(tmp_path).exit_code == 2
    with pytest.raises(ArchError, match="E0002"):
        archdsl.fix()
