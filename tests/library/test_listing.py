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
from archdsl.library.catalog import CatalogEntry, catalog
from archdsl.library.columns import COLUMNS, COMPARED, LISTED
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
