"""The report of a training step in each format."""

from __future__ import annotations

import csv
import io
import json

import pytest

import archdsl
from archdsl.report.training import training_report

NET = archdsl.loads("name: t\ninput: 3x8x8\nnet: {a: 3x3 conv 4 bn relu, g: gap, fc: fc 2}\n")
COST = archdsl.training_cost(NET, batch=2, optimizer="adam")


def test_the_rows_sum_to_the_totals_in_each_format() -> None:
    data = json.loads(training_report(NET.graph, COST, "json", memory=10**6))
    rows = list(csv.DictReader(io.StringIO(training_report(NET.graph, COST, "csv"))))
    assert data["totals"]["stored_bytes"] == COST.stored_bytes == sum(int(row["stored_bytes"]) for row in rows)
    assert data["totals"]["flops"] == sum(node["flops"] for node in data["nodes"])
    assert data["largest_batch"] == COST.largest_batch(10**6)
    for format in ("table", "markdown"):
        text = training_report(NET.graph, COST, format, memory=10**6)
        assert f"{COST.stored_bytes:,}" in text and "3x3 conv 4 bn relu" in text and "at most" in text


def test_a_wrong_format_or_depth_is_an_error() -> None:
    with pytest.raises(archdsl.ArchError, match="E0001"):
        training_report(NET.graph, COST, "xml")
    with pytest.raises(archdsl.ArchError, match="E0003"):
        training_report(NET.graph, COST, "csv", depth=2)
