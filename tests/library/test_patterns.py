"""SPECs that are patterns, and what `compare` says of networks that are equal or wrong.

Tests `spec/patterns.py`, and its use by each command that takes several SPECs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.spec.find import library_networks
from archdsl.spec.patterns import expanded

SPEC = """\
name: {0}
input: 3x8x8
args: {{width: 4}}
net: {{c: 3x3 conv width, p: gap, f: fc 10}}
variants: {{{0}_wide: {{width: 8}}, {0}_deep: {{width: 16}}}}
"""


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    for name in ("b", "a"):
        (tmp_path / f"specs/{name}.yaml").write_text(SPEC.format(name))
    (tmp_path / "specs/notes.txt").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("specs/*.yaml", ["specs/a.yaml", "specs/b.yaml"]),
        ("specs/*", ["specs/a.yaml", "specs/b.yaml"]),
        ("specs/a.yaml#*", ["specs/a.yaml#a", "specs/a.yaml#a_wide", "specs/a.yaml#a_deep"]),
        ("specs/*.yaml#*_wide", ["specs/a.yaml#a_wide", "specs/b.yaml#b_wide"][:1]),
        ("vgg1[13]", ["vgg11", "vgg13"]),
        ("vgg16#vgg1?", [f"vgg16#{name}" for name in ("vgg16", "vgg11", "vgg13", "vgg19")]),
        ("*", [*library_networks()]),
        ("vgg16", ["vgg16"]),
        ("specs/a.yaml#a_wide", ["specs/a.yaml#a_wide"]),
        ("-", ["-"]),
    ],
)
def test_what_a_pattern_matches(here: Path, spec: str, found: list[str]) -> None:
    if spec == "specs/*.yaml#*_wide":
        (here / "specs/b.yaml").unlink()
    assert expanded([spec]) == found


def test_a_file_whose_name_has_a_star(here: Path) -> None:
    (here / "[a]*.yaml").write_text(SPEC.format("s"))
    assert expanded(["[a]*.yaml", "[a]*.yaml#*_wide"]) == ["[a]*.yaml", "[a]*.yaml#s_wide"]
    assert expanded([Path("[b]")]) == [Path("[b]")]


@pytest.mark.parametrize(
    ("command", "spec", "words"),
    [
        ("compare", "resnt5*", "the library has no network `resnt5*`"),
        ("compare", "resnt50*", "did you mean `resnet50"),
        ("diagram", "specs/a.yaml#*_wied", "did you mean `a_wide`?"),
        ("bench", "specs/a.yaml#zzz*", "it has a, a_wide, a_deep"),
        ("compare", "resnt50#*", "did you mean `resnet50`?"),
    ],
)
def test_a_pattern_that_matches_nothing(here: Path, command: str, spec: str, words: str) -> None:
    result = run(command, spec)
    assert (result.exit_code, result.stdout) == (2, "") and words in result.stderr, result.stderr


def test_check_reports_a_pattern_without_a_match_with_its_other_results(here: Path) -> None:
    result = run("check", "specs/*.yml")
    assert result.exit_code == 2 and "no spec matches `specs/*.yml`" in result.stdout, result.stderr


def test_every_command_with_several_specs_takes_patterns(here: Path) -> None:
    rows = json.loads(run("compare", "specs/a.yaml#*", "--format", "json").stdout)
    assert [row["name"] for row in rows] == ["a", "a_wide", "a_deep"]
    assert run("check", "specs/*.yaml").stdout.count(": fine") == 2
    assert run("diagram", "specs/a.yaml#*_*", "-o", "both.svg").exit_code == 0
    assert len(archdsl.figure(["specs/a.yaml#*"]).networks) == 3


def test_arguments_of_compare(here: Path) -> None:
    rows = json.loads(run("compare", "specs/a.yaml", "specs/b.yaml", "-a", "width=32", "--format", "json").stdout)
    assert [row["params"] for row in rows] == [3 * 9 * 32 + 32 + 330] * 2
    assert [row["args"] for row in rows] == [{"width": 32}] * 2
    assert "arguments width=32\n" in archdsl.compare("specs/a.yaml", args={"width": 32}).text()
    result = run("compare", "specs/a.yaml", "vgg16", "-a", "width=32")
    assert result.exit_code == 0 and "left out, without the argument `width`: vgg16" in result.stderr
    assert "vgg16" not in result.stdout
    result = run("compare", "vgg19", "vgg16", "-a", "width=32")
    assert result.exit_code == 2 and "has no argument `width`" in result.stderr


def test_a_file_with_the_mark_of_variants(here: Path) -> None:
    (here / "specs/c#1.yaml").write_text(SPEC.format("s"))
    with pytest.raises(ArchError, match="`#` separates a file and a variant"):
        archdsl.load("specs/c#1.yaml")


def test_equal_networks_are_named(here: Path) -> None:
    result = run("compare", "specs/a.yaml", "specs/a.yaml#a", "specs/b.yaml", "specs/b.yaml", "--format", "json")
    assert [row["name"] for row in json.loads(result.stdout)] == ["a", "b"]
    assert result.stderr == ("note: compared once: specs/b.yaml, specs/a.yaml#a (the same network as specs/a.yaml)\n")
    assert archdsl.compare("vgg16").notes == ()


def test_networks_that_fail_are_named(here: Path) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.compare("specs/a.yaml#*", "vgg16", "lenet5", input="3x4x4")
    notes = {note for d in caught.value.diagnostics for note in d.notes if note.startswith("in ")}
    assert {name for note in notes for name in ("vgg16", "lenet5") if name in note} == {"vgg16", "lenet5"}
