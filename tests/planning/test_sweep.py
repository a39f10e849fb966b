"""`archdsl.sweep` and its command: `planning/sweep.py`, `planning/variants.py` and `cli/sweep.py`."""

from __future__ import annotations

import csv
import io
import json
import random
from math import prod
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl.cli import main
from archdsl.planning.variants import Variants

SPEC = """\
name: small
input: 3x16x16
args: {n: 2, width: 8, unused: 1}
net:
  stem: 3x3 conv width bn relu
  body: n * 3x3 conv width bn relu
  pool: gap
  fc: fc 10
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SPEC)
    return "small.yaml"


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["sweep", *map(str, args)])


@pytest.mark.parametrize(
    ("name", "args", "sizes"),
    [
        ("resnet50", {"n": [[1, 1, 1, 1], [2, 1, 3, 1], [3, 4, 6, 3]], "g": [1, 2], "base": [32, 64]}, (64, 97)),
        ("efficientnet_b0", {"width": [0.5, 1.0, 1.3], "depth": [1.0, 1.4], "classes": [3, 10]}, (64, 100)),
        ("densenet121", {"n": [[2, 3, 2, 2], [6, 12, 4, 4]], "k": [12, 32]}, (64, 96)),
    ],
)
def test_rows_are_equal_to_single_networks(name: str, args: dict[str, Any], sizes: tuple[int, int]) -> None:
    result = archdsl.sweep(name, args, input=[(3, size, size) for size in sizes])
    assert len(result.entries) == prod(map(len, args.values())) * len(sizes) and not result.invalid
    for row in random.Random(21).sample(result.entries, 4):
        size = tuple(map(int, row.input.split("x")))
        net = archdsl.load(name, input=size, **dict(row.args))
        assert (row.params, row.macs) == (net.params, net.macs)
        single = archdsl.compare(net).entries[0]
        for figure in ("depth", "activations", "peak_memory_bytes", "weight_bytes", "receptive_field"):
            assert getattr(row, figure) == getattr(single, figure)


def test_parameters_are_those_of_torchvision() -> None:
    resnet = pytest.importorskip("torchvision").models.resnet
    layers = [[1, 2, 1, 1], [3, 4, 6, 3]]
    for row, n in zip(archdsl.sweep("resnet50", {"n": layers}).entries, layers, strict=True):
        assert row.params == sum(p.numel() for p in resnet.ResNet(resnet.Bottleneck, n).parameters())


def test_the_spec_is_read_once_and_progress_is_told(small: str) -> None:
    seen: list[tuple[int, int]] = []
    archdsl.sweep(small, {"n": "1..3"}, progress=lambda done, all_: seen.append((done, all_)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    variants = Variants(small)
    assert variants.document is variants.document
    assert variants.network({"n": 1}, "3x8x8").input != variants.network({"n": 1}).input


def test_arguments_without_effect_are_noted(small: str) -> None:
    notes = archdsl.sweep(small, {"n": "1..2", "unused": "1..3"}).notes
    assert [note for note in notes if "`unused` changes nothing" in note] and "`n`" not in " ".join(notes)


def test_invalid_settings_are_listed_and_counted(small: str) -> None:
    result = archdsl.sweep(small, {"n": "1..2", "width": "0,4"})
    assert [one.setting for one in result.invalid] == ["n=1 width=0", "n=2 width=0"] and len(result.entries) == 2
    assert not result.notes
    assert "invalid   2 settings" in result.text()
    rows = json.loads(result.text("json"))
    assert len(rows) == 4 and [bool(row.get("error")) for row in rows] == [False, False, True, True]
    with pytest.raises(archdsl.ArchError, match="E0910") as caught:
        archdsl.sweep(small, {"n": "1..2", "width": 0})
    assert "none of 2 settings" in str(caught.value)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["-a", "m=1..3"], "E0212", "`m`"),
        (["-a", "n=1..100000", "-a", "width=1..10000"], "E0911", "1,000,000,000"),
        (["-a", "n=1..3", "--where", "params < 5MB"], "E0912", "5MB"),
        (["-a", "n=1..3", "--where", "params < 5"], "E0913", "none of 3"),
        (["-a", "n=3..1"], "E0914", "`n`"),
        (["-a", "n=1..3", "--where", "size < 5"], "E0304", "size"),
    ],
)
def test_bad_requests(small: str, args: list[str], code: str, words: str) -> None:
    result = run(small, *args)
    assert result.exit_code and code in result.stderr and words in result.stderr and not result.stdout


def test_formats_and_chart(small: str) -> None:
    wanted = [small, "-a", "n=1..3", "-a", "width=4,8", "--where", "n >= 2 and params < 5k", "--sort", "params"]
    rows = json.loads(run(*wanted, "--format", "json").stdout)
    assert rows and all(row["args"]["n"] >= 2 and row["params"] < 5000 for row in rows)
    assert [row["params"] for row in rows] == sorted(row["params"] for row in rows)
    table = list(csv.DictReader(io.StringIO(run(*wanted, "--format", "csv").stdout)))
    assert [(int(r["args.n"]), int(r["params"])) for r in table] == [(r["args"]["n"], r["params"]) for r in rows]
    assert run(*wanted, "--format", "markdown").stdout.startswith("| n | width | params")
    result = run(*wanted, "--pareto", "depth,params", "--plot", "out.svg")
    assert result.exit_code == 0, result.stderr
    assert ElementTree.parse("out.svg").getroot().tag.endswith("svg")


def test_to_pandas(small: str) -> None:
    pytest.importorskip("pandas")
    result = archdsl.sweep(small, {"n": "1..3"})
    assert list(result.to_pandas()["args.n"]) == [1, 2, 3]


def test_names_order_and_figures_of_arguments(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "input: 1x16x16\nargs: {act: relu, depth: 1, w: 8}\n"
        "net: {a: depth * 3x3 conv w act=act, b: '2x3 conv 8 /3 valid', p: gap, f: fc 2}\n"
    )
    named = archdsl.sweep(path, {"act": "relu,gelu"}, where="act == gelu")
    assert [dict(entry.args)["act"] for entry in named.entries] == ["gelu"]
    figure = archdsl.sweep(path, {"depth": "1..3"}, where="depth >= 4", sort="depth", reverse=True)
    assert [entry.depth for entry in figure.entries] == [5, 4]
    assert "`depth` in the condition is the figure, not the argument" in figure.notes
    ordered = archdsl.sweep(path, {"w": "16,8"}, sort="w")
    assert [dict(entry.args)["w"] for entry in ordered.entries] == [8, 16]
    fields = archdsl.sweep(path, {"w": "8,16", "depth": "1,2"}, where="receptive_field <= 4")
    assert {entry.receptive_field for entry in fields.entries} == {"4 x 5"}
    assert archdsl.sweep(path, {"w": 8}).to_json()[0]["receptive_field"] == "4 x 5"


def test_a_chart_leaves_out_fields_of_the_whole_input(tmp_path: Path) -> None:
    result = archdsl.compare("resnet18", "efficientnet_b0", pareto="receptive_field,macs")
    chart = result.chart("svg")
    assert "not in the chart, no bounded receptive field: efficientnet_b0" in chart.notes
    gated = archdsl.compare("efficientnet_b0", "efficientnet_b1", pareto="receptive_field,macs")
    with pytest.raises(archdsl.ArchError, match="E0852"):
        gated.chart("svg")


def test_labels_of_a_chart_have_the_input_size(small: str) -> None:
    sweep = archdsl.sweep(small, {"n": "1,2"}, input="3x16x16,3x32x32", pareto="depth,macs")
    drawn = sweep.chart("svg").data.decode()
    assert "n=1 input=3x16x16: " in drawn and "n=1 input=3x32x32: " in drawn


def test_a_table_says_how_training_is_counted_where_it_is_shown(small: str) -> None:
    sweep = archdsl.sweep(small, {"n": "1..2"}, where="training < 1GiB")
    assert dict(sweep.entries[0].extra)["training"] == archdsl.training_cost(small, args={"n": 1}).peak_bytes
    assert "a step of one sample in fp32 with sgd" in sweep.text()
    assert "a step of" not in archdsl.sweep(small, {"n": "1..2"}).text()
