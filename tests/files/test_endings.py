"""The ending of a file's name: which format it says, and the error for one that no format has, on each command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.files.endings import REPORTS, check_ending, format_of

COMMANDS = [
    *(["compile", "lenet5"], ["diagram", "lenet5"], ["params", "lenet5"], ["compare", "lenet5"], ["list", "lenet5"]),
    *(["predict", "lenet5", "x.png"], ["import", "x.onnx"], ["expand", "lenet5"], ["schema"], ["check", "lenet5"]),
    *(["passes", "lenet5"], ["bench", "lenet5"], ["diff", "lenet5", "lenet5_1998"], ["weights", "convert", "x.pth"]),
    *(["weights", "match", "x.pth", "lenet5"], ["weights", "reparameterise", "x.pth", "lenet5"]),
    ["diagram", "lenet5", "lenet5_1998"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_unknown_ending_is_an_error_at_its_place(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [*command, "-o", "k.xyz"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error[E0001]: unknown ending `.xyz`; choose one of: ."), result.stderr
    assert " --> -o:1:2\n" in result.stderr
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("path", "format", "expected"),
    [
        (None, None, None),
        ("-", None, None),
        ("out", "csv", "csv"),
        ("dir.d/out", None, None),
        ("a.JSON", None, "json"),
        ("a.json", "sarif", "sarif"),
        ("a.b.md", None, "markdown"),
    ],
)
def test_the_format_of_a_name(path: str | None, format: str | None, expected: str | None) -> None:
    assert format_of(path, format, REPORTS) == expected


@pytest.mark.parametrize("path", ["", "a.", None])
@pytest.mark.parametrize(("command", "ending"), [("diagram", ".svg"), ("params", ".csv"), ("compile", ".onnx")])
def test_an_ending_has_a_name(
    path: str | None, command: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [command, "lenet5", "-o", ending if path is None else path])
    assert result.exit_code == 2 and result.stderr.startswith("error[E0002]"), result.stderr
    assert [*tmp_path.iterdir()] == []


def test_a_format_may_be_named_by_its_ending() -> None:
    md, markdown = (CliRunner().invoke(main, ["compare", "lenet5", "--format", name]) for name in ("md", "markdown"))
    assert md.exit_code == 0 and md.stdout == markdown.stdout


def test_a_format_and_another_ending() -> None:
    with pytest.raises(ArchError, match="of the format json, not csv"):
        format_of("k.json", "csv", REPORTS)


def test_the_help_of_an_ending() -> None:
    with pytest.raises(ArchError, match=r"unknown ending `\.onxn`; choose one of: \.onnx, \.py") as caught:
        check_ending(Path("net.onxn"), [".onnx", ".py"])
    assert caught.value.status == 2 and caught.value.diagnostics[0].help == "did you mean `.onnx`?"


@pytest.mark.parametrize(
    ("name", "start"), [("k.json", "{"), ("k.csv", "path,"), ("k.md", "| path |"), ("k", "lenet5")]
)
def test_a_report_has_the_format_of_its_name(name: str, start: str, tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["params", "lenet5", "-o", str(tmp_path / name)]).exit_code == 0
    assert (tmp_path / name).read_text().startswith(start)
