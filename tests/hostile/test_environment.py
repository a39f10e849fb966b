"""Surroundings that must not hurt: streams that are closed or full, odd variables, a cache that somebody else wrote."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archdsl.library import catalog
from archdsl.library.catalog import CatalogEntry
from tests.support.places import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams and pipes of POSIX")

ENTRY = CatalogEntry(
    "\x1b[31mevil\u202e", "f", "<i>", 2015, "3x8x8", (2,), 2, 1, 2, 3, 4, 5, 6, "7", None, "", "=1+1", "<b>", "x.yaml"
)


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`archdsl` stands for the command line of this interpreter."""
    command = command.replace("archdsl", f"{sys.executable} -m archdsl")
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


@pytest.mark.parametrize(
    ("command", "status", "word"),
    [
        ("archdsl params lenet5 >&-", 2, "E0701"),
        ("archdsl compile lenet5 --to torch -o - >&-", 2, "E0701"),
        ("archdsl compile lenet5 -o - >&-", 2, "E0701"),
        ("archdsl compile lenet5 -o - >/dev/full", 2, "E0701"),
        ("archdsl params lenet5 2>&-", 0, "61,706"),
        ("archdsl check - <&-", 2, "E0114"),
        ("archdsl params lenet5 <&- >&- 2>&-", 2, ""),
    ],
)
def test_streams(command: str, status: int, word: str, tmp_path: Path) -> None:
    done = shell(command, tmp_path)
    output = done.stdout + done.stderr
    assert "Traceback" not in output and "internal error" not in output, output
    assert (done.returncode, word in output) == (status, True), output


def test_a_file_is_not_taken_for_a_closed_stream(tmp_path: Path) -> None:
    """With standard output closed, the first file that is opened would have its number, and get what is printed."""
    assert shell("archdsl compile lenet5 -o x.onnx", tmp_path).returncode == 0
    whole = (tmp_path / "x.onnx").read_bytes()
    shell("archdsl compile lenet5 -o x.onnx >&- 2>&-", tmp_path)
    assert (tmp_path / "x.onnx").read_bytes() == whole


@pytest.mark.parametrize(
    "variables",
    [
        {"COLUMNS": "0"},
        {"COLUMNS": "-5"},
        {"COLUMNS": "9" * 30},
        {"COLUMNS": "x"},
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "\x1b[31m"},
        {"HOME": ""},
        {"HOME": "/nonexistent", "XDG_CACHE_HOME": ""},
        {"XDG_CACHE_HOME": "relative"},
        {"XDG_CACHE_HOME": "/dev/null"},
        {"TMPDIR": "/nonexistent"},
    ],
    ids=lambda found: " ".join(found),
)
def test_variables(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text('name: "s\\u00e9"\ninput: 3x8x8\nnet: [3x3 conv2 8]\n')
    for command, status in (("archdsl check s.yaml", 1), ("archdsl params lenet5", 0)):
        done = shell(command, tmp_path, **variables)
        assert "Traceback" not in done.stderr and "E0999" not in done.stderr, done.stderr
        assert done.returncode == status
    assert os.listdir(tmp_path) == ["s.yaml"]


# --- the cache of the catalog -----------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(catalog, "_key", lambda: "key")
    path = tmp_path / "archdsl" / "catalog.json"
    path.parent.mkdir()
    return path


def row(**changed: object) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(ENTRY) | changed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[]",
        '{"key": "key"}',
        '{"key": "key", "entries": 7}',
        '{"key": "key", "entries": [7]}',
        json.dumps({"key": "key", "entries": [{"name": 1}]}),
        json.dumps({"key": "key", "entries": [row(params="1")]}),
        json.dumps({"key": "key", "entries": [row(more=1)]}),
        json.dumps({"key": "key", "entries": [row(axes=["\x1b[31m"])]}),
        json.dumps({"key": "other", "entries": [row()]}),
        "9" * 10_000,
        " " * (5 << 20),
    ],
    ids=range(14),
)
def test_a_cache_that_is_none_is_counted_anew(text: str, place: Path) -> None:
    place.write_text(text)
    assert catalog._read_cache("key") is None


def test_a_cache_that_cannot_be_read_or_written(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(place)
    assert catalog._read_cache("key") is None, "and it is not waited for"
    catalog._write_cache("key", (ENTRY,))
    assert place.is_fifo()
    place.unlink()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    place.symlink_to(victim)
    catalog._write_cache("key", (ENTRY,))
    assert victim.read_text() == "precious"
    assert catalog._read_cache("key") == (ENTRY,)
    for value in ("relative", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        monkeypatch.setenv("HOME", "")
        catalog._write_cache("key", (ENTRY,))
        assert catalog._read_cache("key") is None


def test_a_cache_of_somebody_else_steers_no_terminal(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from archdsl.cli import main

    catalog._write_cache("key", (ENTRY,))
    for format in ("table", "json", "csv", "markdown"):
        done = CliRunner().invoke(main, ["list", "--format", format])
        assert done.exit_code == 0
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.output), format
