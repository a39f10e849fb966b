"""The counts as JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json

import pytest

import archdsl
from archdsl.analysis.summary import summarize
from archdsl.graph import Graph
from archdsl.ops import Conv, Fc, Flatten, Gap
from archdsl.report.json import params_csv, params_json, params_markdown
from archdsl.report.params import params_report
from tests.support.handmade import Hand

TOTALS = {
    "params",
    "buffers",
    "aux_params",
    "macs",
    "flops",
    "activations",
    "peak_memory_bytes",
    "weight_bytes",
}
NODE = {"path", "op", "inputs", "output", "params", "macs", "receptive_field", "line"}


def small() -> Graph:
    net = Hand((3, 8, 8))
    conv = net.put("conv", Conv(out=4, kernel=(3, 3)))
    net.put("pool", Gap())
    net.put("fc/flatten", Flatten())
    fc = net.put("fc", Fc(out=2))
    net.put("aux.pool", Gap(), conv, training=True)
    net.put("aux.fc/flatten", Flatten(), training=True)
    head = net.put("aux.fc", Fc(out=2), training=True)
    return net.graph({"output": fc}, aux={"aux": head})


def test_the_contract() -> None:
    data = params_json(small())
    assert list(data) == ["name", "input", "complete", "errors", "convention", "totals", "unread", "nodes"]
    assert set(data["totals"]) == TOTALS
    assert data["input"] == "3x8x8"
    assert data["unread"] == []
    assert (data["complete"], data["errors"]) == (True, [])
    assert [node["path"] for node in data["nodes"]] == ["input", "conv", "pool", "fc/flatten", "fc"]
    assert all(set(node) == NODE for node in data["nodes"])
    assert data["nodes"][1] == {
        "path": "conv",
        "op": "conv",
        "inputs": ["input"],
        "output": [4, 8, 8],
        "params": 112,
        "macs": 64 * 108,
        "receptive_field": [3, 3],
        "line": 1,
    }
    assert data["nodes"][4]["receptive_field"] is None
    assert data["totals"]["aux_params"] == 10
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("batch", [1, 4])
def test_nodes_sum_to_the_totals(batch: int) -> None:
    data = params_json(archdsl.load("googlenet").graph, batch)
    assert sum(node["params"] for node in data["nodes"]) == data["totals"]["params"] == 6_624_904
    assert sum(node["macs"] for node in data["nodes"]) == data["totals"]["macs"] == batch * 1_498_376_192
    assert data["totals"]["flops"] == 2 * data["totals"]["macs"]
    assert data["nodes"][0]["output"] == [3, 224, 224]


def test_a_node_that_nothing_runs_is_named_and_has_no_macs() -> None:
    data = params_json(archdsl.loads("input: 3x8x8\nnet: {a: 3x3 conv 4, lost: 3x3 conv 8, b: 3x3 conv 2 <- a}").graph)
    assert data["unread"] == ["lost"]
    assert [(node["params"], node["macs"] > 0) for node in data["nodes"]] == [
        (0, False),
        (112, True),
        (296, False),
        (74, True),
    ]
    assert sum(node["macs"] for node in data["nodes"]) == data["totals"]["macs"] == 64 * (108 + 72)


def test_lines_point_into_the_spec() -> None:
    net = archdsl.load("vgg16")
    source = net.graph.nodes[1].origin.span.source
    data = params_json(net.graph)
    fc = next(node for node in data["nodes"] if node["op"] == "fc")
    assert "fc 4096" in source.line_text(fc["line"])


def test_csv_has_the_same_rows() -> None:
    rows = list(csv.DictReader(io.StringIO(params_csv(small()))))
    assert set(rows[0]) == NODE
    assert rows[1]["output"] == "4x8x8"
    assert sum(int(row["params"]) for row in rows) == params_json(small())["totals"]["params"]


def test_markdown_is_a_table() -> None:
    text = params_markdown(summarize(archdsl.load("resnet50").graph))
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert "| `layer1.1` .. `layer1.2` x2 |" in text
    assert "| **total** | | | **25,557,032** | **4,089,184,256** |" in table


PARTIAL = "input: 3x8x8\nnet:\n  a: 1x1 conv 4\n  b: [1x1 conv 8, relu 3]\n  c: 3x3 cov 2 <- a\n  d: 3x3 conv 2 bn"


def test_unknown_values_of_an_incomplete_network_are_null_in_json_and_marked_in_tables() -> None:
    net = archdsl.loads(PARTIAL, partial=True)
    data = json.loads(params_report(net.graph, "json", errors=net.errors))
    assert data["complete"] is False
    assert [(e["code"], e["line"]) for e in data["errors"]] == [("E0310", 4), ("E0301", 5)]
    assert data["totals"]["params"] == 16 + 40
    nodes = {node["path"]: node for node in data["nodes"]}
    assert (nodes["b.0"]["output"], nodes["b.0"]["params"]) == ([8, 8, 8], 40)
    assert nodes["c"] == {
        "path": "c",
        "op": "unknown",
        "inputs": ["a"],
        "output": None,
        "params": None,
        "macs": None,
        "receptive_field": None,
        "line": 5,
    }
    assert [nodes["d.conv"][name] for name in ("op", "output", "params")] == ["conv", None, None]
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(params_csv(net.graph)))}
    assert [rows["d.conv"][name] for name in ("output", "params", "macs", "receptive_field")] == ["?"] * 4
    markdown = params_markdown(summarize(net.graph, depth=0))
    assert "| `b` |  | ? | >= 40 | >= 2,048 |" in markdown
    assert "| `d` | `3x3 conv 2 bn` | ? | ? | ? |" in markdown
    assert "| **at least** | | | **56** | **2,816** |" in markdown
