"""The pages of `archdsl explain`: each code has one, each example gives just the error that it is said to give.

Tests `diagnostics/status.py` and `cli/explain.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import archdsl
from archdsl import explain
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.library.check import check
from tests.support.places import PACKAGE, TESTS

DOCS = PACKAGE.parent / "docs" / "errors.md"
CODE = re.compile(r"\b[EWN]0[0-9]{3}\b")
MARK = re.compile(r"#.*\b(?P<severity>error|warning|note): (?P<code>[EWN]0[0-9]{3})")
LIMIT_LINES = 60


def raised() -> set[str]:
    """Every code that the sources hold as a string of its own: what a diagnostic is made with."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        found |= set(re.findall(r'"([EWN]0[0-9]{3})"', path.read_text(encoding="utf-8")))
    return found


def block(code: str, heading: str, language: str = "yaml") -> str | None:
    """The text of the fenced block under a heading."""
    text = explain.page(code).text
    match = re.search(
        rf"^## {heading}\n(?:(?!^## |^```)[^\n]*\n)*```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    return match[1] if match else None


def wrong(code: str) -> str:
    text = block(code, "Wrong")
    assert text is not None
    return text


def found_in(text: str, folder: Path) -> tuple[Diagnostic, ...]:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return check(path).diagnostics


WITH_SPEC = [code for code in explain.codes() if block(code, "Wrong") is not None]
WITHOUT_SPEC = [code for code in explain.codes() if code not in WITH_SPEC]


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert set(explain.codes()) == raised()


@pytest.mark.parametrize("code", explain.codes())
def test_a_page_has_its_parts(code: str) -> None:
    page = explain.page(code)
    assert page.text.startswith(f"# {code}: ")
    assert page.title and not page.title.endswith(".")
    assert page.text.endswith("\n") and not page.text.endswith("\n\n")
    assert page.text.count("\n") <= LIMIT_LINES
    assert "\n## Why\n" in page.text
    assert page.family
    expected = ("Wrong", "Right") if code in WITH_SPEC else ("Example", "Instead")
    assert re.findall(r"^## (.*)$", page.text, re.MULTILINE) == ["Why", *expected]
    assert set(CODE.findall(page.text)) <= set(explain.codes())
    assert max(map(len, page.text.splitlines())) <= 160


@pytest.mark.parametrize("code", WITH_SPEC)
def test_the_wrong_spec_gives_this_error_and_no_other(code: str, tmp_path: Path) -> None:
    text = wrong(code)
    marks = [(n, m["code"], m["severity"]) for n, line in enumerate(text.splitlines(), 1) if (m := MARK.search(line))]
    found = found_in(text, tmp_path)
    assert [(d.span.line if d.span else 0, d.code, d.severity) for d in found] == marks
    assert [code for _, code, _ in marks] == [code]


@pytest.mark.parametrize("code", WITH_SPEC)
def test_the_right_spec_is_fine(code: str, tmp_path: Path) -> None:
    text = block(code, "Right")
    assert text is not None
    assert [str(d.code) for d in found_in(text, tmp_path)] == []


@pytest.mark.parametrize("code", WITH_SPEC)
def test_the_right_spec_differs_only_where_it_must(code: str) -> None:
    bad, good = wrong(code).splitlines(), (block(code, "Right") or "").splitlines()
    assert bad != good
    kept = sum(line in good for line in bad)
    assert kept or len(bad) <= 2, "the repaired spec has nothing in common with the wrong one"


@pytest.mark.parametrize("code", WITHOUT_SPEC)
def test_the_other_codes_show_what_is_printed(code: str) -> None:
    example = block(code, "Example", "console")
    assert example is not None
    assert example.startswith("$ ")
    kind = {"E": "error", "W": "warning", "N": "note"}[code[0]]
    assert f"{kind}[{code}]: " in example


@pytest.mark.parametrize("code", [code for code in WITHOUT_SPEC if code[0] == "E"])
def test_the_other_errors_are_raised_by_some_test(code: str) -> None:
    tests = TESTS
    assert code in "".join(path.read_text(encoding="utf-8") for path in tests.rglob("test_*.py"))


def test_a_drawing_that_takes_too_long() -> None:
    from archdsl.drawing.diagram import diagram

    with pytest.raises(ArchError) as caught:
        diagram(archdsl.load("resnet18").graph, time_limit_s=0.0)
    assert [d.code for d in caught.value.diagnostics] == ["E0712"]
    assert caught.value.status == 2


@pytest.mark.parametrize("code", WITHOUT_SPEC)
def test_commands_in_examples_exist(code: str) -> None:
    """Every option of a command that a page shows is one that the command has."""
    import click

    from archdsl.cli import main

    for line in re.findall(r"^\$ archdsl (.*)$", explain.page(code).text, re.MULTILINE):
        name, *words = line.split()
        command = main.get_command(click.Context(main), name)
        assert command is not None, line
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words[0])
            assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word.split("=")[0] for word in words if word.startswith("-") and len(word) > 1} <= known, line


# --- the printed documentation ---------------------------------------------------------------------------


def test_docs_are_up_to_date(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-goldens"):
        DOCS.parent.mkdir(exist_ok=True)
        DOCS.write_text(explain.errors_page(), encoding="utf-8")
    assert DOCS.read_text(encoding="utf-8") == explain.errors_page(), "run pytest --update-goldens"


def test_headings_in_the_docs_are_no_comments_of_specs() -> None:
    headings = re.findall(
        r"^#+ .*$", re.sub(r"^```.*?^```$", "", explain.errors_page(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    assert headings[0] == "# Errors, warnings and notes"
    assert sum(h.startswith("### ") for h in headings) == len(explain.codes())


# --- the command -----------------------------------------------------------------------------------------


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archdsl", "explain", *args], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_page_is_printed_as_it_is_in_a_pipe() -> None:
    done = run("E0412")
    assert (done.returncode, done.stdout, done.stderr) == (0, explain.page("E0412").text, "")


@pytest.mark.parametrize("word", ["e0412", " E0412", "412", "e412"])
def test_a_code_may_be_written_shorter(word: str) -> None:
    assert run(word).stdout == explain.page("E0412").text


def test_without_a_code_all_are_listed() -> None:
    done = run()
    assert done.returncode == 0
    for code in explain.codes():
        assert f"  {code}  {explain.page(code).title}\n" in done.stdout
    assert done.stdout == explain.listing()


@pytest.mark.parametrize(
    ("word", "help"), [("E0499", "did you mean E0419?"), ("W0412", "did you mean E0412?"), ("abc", "lists all codes")]
)
def test_an_unknown_code_is_wrong_usage(word: str, help: str) -> None:
    done = run(word)
    assert (done.returncode, done.stdout) == (2, "")
    assert help in done.stderr
    assert "Traceback" not in done.stderr


def test_an_op_is_explained_and_other_words_name_what_is() -> None:
    assert run("conv").stdout.startswith("conv: Convolution") and "docs/ops.md#conv" in run("conv").stdout
    assert "an op such as `conv`" in run("padding").stderr and "glossary.md" in run("padding").stderr


def test_no_page_is_read_to_say_that_there_is_none() -> None:
    with pytest.raises(ArchError, match="E0001"):
        explain.page("../__init__")
