"""Quantities with a unit, and figures on demand: `library/quantities.py` and `library/demand.py`."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.library.columns import COLUMNS, SORTED
from archdsl.library.demand import DEMANDED
from archdsl.library.quantities import Unit, quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("5M", "count", 5_000_000),
        ("1.5G", "count", 1_500_000_000),
        ("600k", "count", 600_000),
        ("1e6", "count", 1_000_000),
        ("12", "layers", 12),
        ("2GiB", "bytes", 2 * 2**30),
        ("24 GB", "bytes", 24 * 10**9),
        ("512B", "bytes", 512),
        ("40ms", "ms", 40),
        ("2s", "ms", 2000),
        ("75.5%", "percent", 75.5),
        ("31px", "pixels", 31),
    ],
)
def test_quantities(text: str, unit: Unit, value: float) -> None:
    assert quantity(text, unit, "figure") == value


@pytest.mark.parametrize(
    ("text", "unit"), [("5MB", "count"), ("5M", "bytes"), ("-5", "count"), ("5 X", "count"), ("", "ms"), ("2k", "year")]
)
def test_wrong_quantities_name_the_figure(text: str, unit: Unit) -> None:
    with pytest.raises(archdsl.ArchError, match="E0912") as caught:
        quantity(text, unit, "params")
    assert "`params`" in str(caught.value)


def test_figures_on_demand_are_computed_only_where_they_are_asked_for() -> None:
    assert {*DEMANDED} <= {*COLUMNS} and {*DEMANDED} <= {*SORTED}
    plain, asked = archdsl.compare("lenet5"), archdsl.compare("lenet5", sort="training")
    cost = archdsl.training_cost(archdsl.load("lenet5"))
    assert plain.entries[0].extra == () and dict(asked.entries[0].extra)["training"] == cost.peak_bytes
    assert archdsl.compare("lenet5", where="training > 0 and step > 0").demanded == ("training", "step")
