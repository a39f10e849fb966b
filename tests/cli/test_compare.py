"""`archdsl list` and `archdsl compare`: what they choose, in which order, as what; and the chart.

Tests `cli/list.py` and `cli/compare.py`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from math import prod
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl.cli import main
from archdsl.library.catalog import catalog
from archdsl.library.columns import COMPARED, LISTED, ordered
from archdsl.packages import install_command
from tests.support.terminal import on_a_terminal

SVG = "{http://www.w3.org/2000/svg}"
TINY = "name: tiny\ninput: 3x8x8\nnet: {conv: 3x3 conv 4 bn relu, pool: gap, fc: fc 10}\n"


def run(*args: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


def listed(*args: object) -> list[dict[str, str]]:
    result = run("list", *args, "--format", "json")
    assert result.exit_code == 0, result.stderr
    rows: list[dict[str, str]] = json.loads(result.stdout)
    return rows


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


# --- list ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "keeps"),
    [
        (["--max-params", "10M"], lambda e: e.params <= 10_000_000),
        (["--min-params", "1e8"], lambda e: e.params >= 100_000_000),
        (["--max-macs", "1G", "--min-macs", "500m"], lambda e: 500_000_000 <= e.macs <= 1_000_000_000),
        (["--min-top1", "80"], lambda e: e.top1 is not None and e.top1 >= 80),
        (["--year", "2014"], lambda e: e.year == 2014),
        (["--year", "2014-2016"], lambda e: e.year is not None and 2014 <= e.year <= 2016),
        (["--year", "2019-"], lambda e: e.year is not None and e.year >= 2019),
        (["--year=-1998"], lambda e: e.year is not None and e.year <= 1998),
        (["--family", "vgg", "--family", "resn*"], lambda e: e.family == "vgg" or (e.family or "").startswith("resn")),
        (["--axes", "0"], lambda e: e.name == "skin_lesion_meta"),
        (["*_v1", "--family", "resnet"], lambda e: e.name in ("resnet50_v1", "resnet101_v1", "resnet152_v1")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_listed(options: list[str], keeps: object) -> None:
    expected = {e.name for e in catalog() if keeps(e)}  # type: ignore[operator]
    assert {row["name"] for row in listed(*options)} == expected
    assert 0 < len(expected) < len(catalog())


@pytest.mark.parametrize("column", [name for name in LISTED if name != "source"])
def test_every_column_sorts_both_ways(column: str) -> None:
    field = {"source": "top1_source"}.get(column, column)
    up, down = listed("--sort", column), listed("--sort", column, "-r")
    known = [row[field] for row in up if row[field] is not None]
    if column == "input":
        sizes = [eval_size(text) for text in known]
        assert sizes == sorted(sizes)
    else:
        assert known == sorted(known)
    assert [row[field] for row in down if row[field] is not None] == [*reversed(known)] or column == "input"
    for rows in (up, down):
        unknown = [row[field] is None for row in rows]
        assert unknown == sorted(unknown), "what is unknown comes last"


def eval_size(text: str) -> int:
    """The numbers that one sample has in all inputs: `image: 3x224x224, meta: 8`."""
    return sum(prod(map(int, one.rpartition(": ")[2].split("x"))) for one in text.split(", "))


def test_an_accuracy_says_where_it_stands() -> None:
    rows = [row for row in listed() if row["top1"] is not None]
    assert len(rows) >= 70
    assert all(row["top1_source"] for row in rows)
    (nasnet,) = listed("nasnetalarge")
    assert (nasnet["top1"], nasnet["top1_source"], nasnet["family"]) == (82.7, "arXiv 1707.07012, Table 2", "nasnet")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--family", "vgq"], 2, "did you mean `vgg`?"),
        (["vgg61"], 2, "did you mean `vgg"),
        (["--max-params", "10X"], 2, "a number such as 500k"),
        (["--max-params", "M"], 2, "a number such as 500k"),
        (["--year", "20142016"], 2, "a year or a range such as"),
        (["--year", "-"], 2, "a year or a range such as"),
        (["--year", "2016-2014"], 2, "the first year must not be after the last"),
        (["--sort", "colour"], 2, "E0001"),
        (["--axes", "4"], 2, "error[E0002]: `axes` cannot be `4`: an integer from 0 to 3"),
        (["--axes", "volume"], 2, "'--axes'"),
        (["--max-params", "10k", "--year", "2020-"], 0, "none of "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_of_list(options: list[str], status: int, words: str) -> None:
    result = run("list", *options)
    assert (result.exit_code, result.stdout) == (status, "")
    assert words in result.stderr


def test_nothing_is_still_json_and_csv() -> None:
    nothing = ["--max-params", "1", "--min-params", "2"]
    assert listed(*nothing) == []
    assert list(csv.DictReader(io.StringIO(run("list", *nothing, "--format", "csv").stdout))) == []


def on_terminal(columns: int, *args: str) -> list[str]:
    """The lines that a command prints on a terminal so wide."""
    env = {**os.environ, "COLUMNS": str(columns), "LINES": "40", "NO_COLOR": "1", "TERM": "xterm"}
    return on_a_terminal(args, env).replace("\r", "").splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
@pytest.mark.parametrize("args", [["list"], ["compare", "vgg16", "alexnet"], ["compare", "resnet*"]], ids=" ".join)
def test_a_narrow_terminal(args: list[str]) -> None:
    lines = on_terminal(60, *args)
    body = [line for line in lines if not line.startswith(("omitted", "counted"))]
    assert max(map(len, body)) <= 60
    if args[-1] != "alexnet":
        assert any(line.startswith("omitted to fit the width: ") for line in lines)


# --- compare ---------------------------------------------------------------------------------------------


def test_side_by_side(here: Path) -> None:
    result = run("compare", "resnet50", "tiny.yaml")
    rows = {line[:16].strip(): line[16:].split() for line in result.stdout.splitlines() if line}
    assert result.stdout.splitlines()[0].split() == ["resnet50", "tiny"]
    assert rows["params"] == ["25,557,032", "166"]
    assert rows["MACs"] == ["4,089,184,256", "6,952"]
    assert rows["depth"] == ["50", "2"]
    assert rows["weights MiB"][0] == "97.7"
    assert rows["receptive field"] == ["427", "3"]
    assert "counted" in rows or any(key.startswith("counted") for key in rows)


def test_many_are_lines(here: Path) -> None:
    result = run("compare", "resnet*", "--sort", "macs", "-r")
    names = [line.split()[0] for line in result.stdout.splitlines()[2:] if line][:-1]
    entries = [e for e in catalog() if e.name.startswith("resnet")]
    assert names == [e.name for e in ordered(entries, "macs", reverse=True)]


def test_formats_agree_with_what_params_says(here: Path) -> None:
    (row,) = json.loads(run("compare", "densenet121", "--format", "json").stdout)
    totals = json.loads(run("params", "densenet121", "--format", "json").stdout)["totals"]
    for figure in ("params", "macs", "activations", "peak_memory_bytes", "weight_bytes"):
        assert row[figure] == totals[figure], figure
    table = list(csv.DictReader(io.StringIO(run("compare", "densenet121", "tiny.yaml", "--format", "csv").stdout)))
    assert [r["params"] for r in table] == [str(row["params"]), "166"]
    assert run("compare", "vgg16", "--format", "markdown").stdout.splitlines()[0].count("|") == len(COMPARED) + 1


def test_another_input_size_has_no_published_accuracy() -> None:
    (row,) = json.loads(run("compare", "xception", "--input", "3x512x512", "--format", "json").stdout)
    assert (row["input"], row["top1"], row["params"]) == ("3x512x512", None, 22_855_952)
    text = run("compare", "xception", "--input", "3x512x512").stdout
    assert "top-1" not in text and "source" not in text and "MACs" in text


def test_one_network_is_shown_once_and_two_of_one_name_apart(here: Path) -> None:
    (here / "other.yaml").write_text(TINY.replace("conv 4", "conv 5"))
    rows = json.loads(run("compare", "tiny.yaml", "tiny.yaml", "other.yaml", "--format", "json").stdout)
    assert [row["name"] for row in rows] == ["tiny (tiny.yaml)", "tiny (other.yaml)"]


def test_what_is_wrong_in_any_is_told_and_nothing_is_written(here: Path) -> None:
    (here / "broken.yaml").write_text(TINY.replace("gap", "gapp"))
    result = run("compare", "xception", "broken.yaml", "resent50", "--plot", "x.svg", "-o", "x.txt")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "`gapp`" in result.stderr and "did you mean `resnet50`?" in result.stderr
    assert sorted(p.name for p in here.iterdir()) == ["broken.yaml", "tiny.yaml"]
    assert run("compare", "resent50").exit_code == 2
    assert run("compare", "nothing*").exit_code == 2
    assert run("compare").exit_code == 2
    assert "did you mean `params`" in run("compare", "vgg16", "--sort", "parms").stderr


# --- the chart -------------------------------------------------------------------------------------------


def test_a_chart_of_the_library(here: Path) -> None:
    result = run("compare", "*", "--plot", "all.svg")
    assert result.exit_code == 0
    text = Path("all.svg").read_text(encoding="utf-8")
    words = {e.text for e in ElementTree.fromstring(text).iter(f"{SVG}text")}
    drawn = {e.name for e in catalog() if e.top1 is not None and e.classes == 1000}
    assert drawn <= words, "every name is there, as text"
    assert words >= {"family", "parameters"}
    titles = [e.text or "" for e in ElementTree.fromstring(text).iter(f"{SVG}title")]
    assert "xception: top-1 79.0 %, 8.357 GMACs, 22.86 Mparams" in titles
    told = result.stderr
    for e in catalog():
        assert e.name in words or f" {e.name}" in told, f"{e.name} is dropped silently"
    texts = []
    for _ in range(2):
        assert run("compare", "resnet*", "--plot", "all.svg").exit_code == 0, "our own is replaced"
        texts.append(Path("all.svg").read_text(encoding="utf-8"))
    assert texts[0] == texts[1] != text, "and is the same in every run"


def test_a_page_of_it(here: Path) -> None:
    hostile = TINY.replace(
        "name: tiny", "name: tiny\nfamily: f\nclaims: {top1: {value: 12.5, source: '<script>alert(1)</script>'}}"
    )
    (here / "tiny.yaml").write_text(hostile)
    result = run("compare", "tiny.yaml", "unet", "--plot", "x.html")
    assert result.exit_code == 0
    page = Path("x.html").read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "<title>tiny: top-1 12.5 %" in page and "Not in the chart, no published top-1: " in page
    assert not [word for word in ("src=", 'href="http', "@import", "<link") if word in page], (
        "nothing comes from elsewhere"
    )


@pytest.mark.parametrize(("ending", "head"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_pictures(here: Path, ending: str, head: bytes) -> None:
    for _ in range(2):
        assert run("compare", "xception", "mobilenet_v2", "--plot", f"x.{ending}").exit_code == 0
    assert Path(f"x.{ending}").read_bytes().startswith(head)
    Path(f"x.{ending}").write_bytes(b"somebody's")
    assert run("compare", "xception", "--plot", f"x.{ending}").exit_code == 2
    assert Path(f"x.{ending}").read_bytes() == b"somebody's"


def test_a_chart_to_standard_output() -> None:
    result = run("compare", "xception", "mobilenet_v2", "--plot", "-")
    assert result.stdout.startswith("<?xml") and result.stdout.rstrip().endswith("</svg>")


def test_no_chart(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = run("compare", "tiny.yaml", "--plot", "x.svg")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "E0852" in nothing.stderr
    assert run("compare", "xception", "--plot", "x.jpeg").exit_code == 2
    monkeypatch.setattr("archdsl.packages.find_spec", lambda name: None)
    monkeypatch.setattr("archdsl.compare", None, raising=False)  # nothing is counted before
    missing = run("compare", "xception", "--plot", "x.svg")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "E0851" in missing.stderr and install_command("plot") in missing.stderr
    assert not Path("x.svg").exists()


# --- families --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "family"),
    [
        ("name: resnet50", "resnet"),
        ("name: my_net", "my"),
        ("name: x1\nfamily: dpn", "dpn"),
        ("name: a\nfamily: se_net-2.0", "se_net-2.0"),
    ],
)
def test_the_family_of_a_network(head: str, family: str) -> None:
    assert archdsl.loads(f"{head}\ninput: 3x8x8\nnet: [gap]").document.family == family


@pytest.mark.parametrize("value", ["[a]", "1", "'two words'", "'<b>'", "a" * 41, "''"])
def test_a_family_is_a_word(value: str) -> None:
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.loads(f"name: a\nfamily: {value}\ninput: 3x8x8\nnet: [gap]")
    assert [d.code for d in caught.value.diagnostics] == ["E0202"]
