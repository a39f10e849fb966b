"""`archdsl.list` and `archdsl.compare`: entries, columns and the chart agree with the networks.

Tests `library/list.py`, `library/listing.py`, `library/limits.py`, `library/columns.py`, `library/catalog.py`,
`library/compare.py` and `library/comparison_chart.py`; `tests/cli/test_compare.py` tests the commands.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import archdsl
from archdsl.library.catalog import CatalogEntry, catalog, entry_of
from archdsl.library.columns import COLUMNS, COMPARED, LISTED, as_csv, to_json
from archdsl.library.comparison_chart import chart_format


def test_columns_are_known() -> None:
    assert {*LISTED, *COMPARED} <= set(COLUMNS)
    entry: CatalogEntry = catalog()[0]
    assert all(isinstance(COLUMNS[name].cell(entry), str) for name in COLUMNS)


def test_a_listing_has_the_networks_within_its_limits() -> None:
    listing = archdsl.list("resnet*", year="2015-2016", max_params="30M", sort="params", reverse=True)
    counts = [archdsl.load(name).params for name in listing]
    assert counts == [entry.params for entry in listing.entries] == sorted(counts, reverse=True)
    assert "resnet50" in listing and "resnet152" not in listing and counts[0] <= 30_000_000
    rows = list(csv.DictReader(io.StringIO(listing.text("csv"))))
    assert [row["name"] for row in rows] == [*listing]


@pytest.mark.parametrize("axes", range(4))
def test_a_listing_has_the_networks_with_so_many_axes(axes: int) -> None:
    listing = archdsl.list("l*", "p*", "u*", axes=axes)
    inputs = {name: archdsl.load(name).graph.input_spec for name in archdsl.list("l*", "p*", "u*")}
    assert [*listing] == [name for name, size in inputs.items() if size.count("x") == axes]
    assert all(row["axes"] == [axes] for row in listing.to_json())
    assert all(row["axes"] == str(axes) for row in csv.DictReader(io.StringIO(listing.text("csv"))))


def test_a_listing_has_the_networks_for_a_task() -> None:
    assert "unet" in archdsl.list(task="segmentation") and "vgg16" in archdsl.list(task="classification")
    assert [*archdsl.list("edge*", "vgg1*", task=["filtering", "classification"], family="edge*")] == [
        "edge_filter",
        "edge_filter_stride3",
    ]
    assert {row["task"] for row in archdsl.list("u*", task="segmentation").to_json()} == {"segmentation"}


@pytest.mark.parametrize(
    ("head", "net", "task"),
    [
        ("", "[gap, fc 3]", "classification"),
        ("", "[3x3 conv 2]", "segmentation"),
        ("task: features", "[gap]", "features"),
    ],
)
def test_the_task_of_a_network(head: str, net: str, task: str) -> None:
    assert entry_of(archdsl.loads(f"{head}\ninput: 3x8x8\nnet: {net}")).task == task


@pytest.mark.parametrize("task", ["Segmentation", "[a]", "classify"])
def test_a_wrong_task(task: str) -> None:
    with pytest.raises(archdsl.ArchError, match=r"must be what the network is for|expected a string"):
        archdsl.loads(f"task: {task}\ninput: 3x8x8\nnet: [gap]")


@pytest.mark.parametrize("axes", [-1, 4, True])
def test_a_wrong_number_of_axes(axes: int) -> None:
    with pytest.raises(archdsl.ArchError, match="`axes` cannot be"):
        archdsl.list(axes=axes)


def test_a_network_with_several_inputs_has_all_their_axes() -> None:
    text = """
input: {ecg: 1x9, photo: 1x4x4, age: 1}
net:
  c: 3 conv 2 <- ecg
  f: flatten
  d: 3x3 conv 2 <- photo
  g: flatten
  m: concat <- f, g, age
"""
    entry = entry_of(archdsl.loads(text))
    assert entry.axes == (0, 1, 2)
    assert COLUMNS["axes"].cell(entry) == "0, 1, 2"
    assert to_json([entry])[0]["axes"] == [0, 1, 2] and ",0 1 2," in as_csv(to_json([entry]))


@pytest.mark.parametrize(("window", "field"), [("3", "3"), ("3x3x5", "3 x 3 x 5"), ("1x3x1", "1 x 3 x 1")])
def test_a_receptive_field_has_every_axis(window: str, field: str) -> None:
    size = "x".join(["1", *["8"] * (1 + window.count("x"))])
    assert entry_of(archdsl.loads(f"input: {size}\nnet: [{window} conv 2, gap]")).receptive_field == field


@pytest.mark.parametrize("year", ["2014-15", "twenty", "2016-2014"])
def test_a_wrong_range_of_years(year: str) -> None:
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.list(year=year)
    assert [d.code for d in caught.value.diagnostics] == ["E0002"]


def test_a_comparison_has_the_costs_of_the_networks(tmp_path: Path) -> None:
    comparison = archdsl.compare("alexnet", "squeezenet1_0", "unet", sort="params")
    assert [entry.name for entry in comparison.entries] == ["squeezenet1_0", "unet", "alexnet"]
    for entry in comparison.entries:
        network = archdsl.load(entry.name)
        assert (entry.params, entry.macs) == (network.params, network.macs)
    chart = comparison.chart(chart_format("x.html"))
    assert chart.notes == ("not in the chart, no published top-1: unet",)
    chart.write(tmp_path / "x.html")
    assert (tmp_path / "x.html").read_bytes() == chart.data
