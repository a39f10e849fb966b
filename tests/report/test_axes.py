"""Tables and JSON of networks for signals and volumes, against modules of PyTorch written by hand.

Tests `report/json.py`, `report/table.py`, `report/words.py` and `analysis/equal_scopes.py` with one and three axes.
"""

from __future__ import annotations

import csv
import io
import re
from itertools import pairwise
from math import prod

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.analysis.summary import summarize
from archdsl.report.json import params_csv, params_json, params_markdown
from archdsl.report.table import params_table
from archdsl.report.words import written

ECG = """
input: {size}
net:
  a: 15 conv 8 /2 bn relu
  b: 3 maxpool /2
  c: 5 conv 16 groups=4 dilation=2
  d: 2 deconv 4 /2
  e: upsample 2 linear
  f: [gap, fc 5]
"""
SCAN = """
input: {size}
net:
  a: 3x3x3 conv 8 bn relu
  b: 1x3x3 maxpool /1x2x2
  c: 1x3x3 conv 12 /1x2x2 groups=2
  d: 2x2x2 deconv 4 /2
  e: upsample 2 linear
  f: [gap, fc 5]
"""


def ecg_layers() -> list[nn.Module]:
    return [
        nn.Conv1d(12, 8, 15, 2, 7, bias=False),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.MaxPool1d(3, 2),
        nn.Conv1d(8, 16, 5, padding=4, dilation=2, groups=4),
        nn.ConvTranspose1d(16, 4, 2, 2),
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ]


def scan_layers() -> list[nn.Module]:
    return [
        nn.Conv3d(2, 8, 3, padding=1, bias=False),
        nn.BatchNorm3d(8),
        nn.ReLU(),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        nn.Conv3d(8, 12, (1, 3, 3), (1, 2, 2), (0, 1, 1), groups=2),
        nn.ConvTranspose3d(12, 4, 2, 2),
        nn.Upsample(scale_factor=2, mode="trilinear"),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ]


def multiplications(layer: nn.Module, before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Each weight of a convolution is used once per output position, of a transposed one once per input position."""
    if not isinstance(layer, (nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose3d, nn.Linear)):
        return 0
    places = before if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose3d)) else after
    return layer.weight.numel() * prod(places[1:])


@pytest.mark.parametrize(
    ("spec", "layers", "size"),
    [
        (ECG, ecg_layers(), (12, 200)),
        (ECG, ecg_layers(), (12, 77)),
        (SCAN, scan_layers(), (2, 8, 12, 16)),
        (SCAN, scan_layers(), (2, 5, 15, 11)),
    ],
    ids=["signal", "odd signal", "volume", "odd volume"],
)
def test_the_nodes_are_those_of_torch(spec: str, layers: list[nn.Module], size: tuple[int, ...]) -> None:
    data = params_json(archdsl.loads(spec.format(size="x".join(map(str, size)))).graph)
    x: Tensor = torch.rand(1, *size)
    expected = []
    for layer in layers:
        y = layer.eval()(x)
        macs = multiplications(layer, tuple(x.shape[1:]), tuple(y.shape[1:]))
        expected.append((list(y.shape[1:]), sum(p.numel() for p in layer.parameters()), macs))
        x = y
    assert [(n["output"], n["params"], n["macs"]) for n in data["nodes"][1:]] == expected
    assert data["totals"]["macs"] == sum(macs for *_, macs in expected)
    elements = [prod(size), *(prod(shape) for shape, *_ in expected)]
    largest = max(a + b for a, b in pairwise(elements))
    assert data["totals"]["peak_memory_bytes"] == 4 * largest  # a chain holds an input and an output at a time


def test_receptive_fields_have_a_number_for_each_axis() -> None:
    ecg, scan = (archdsl.loads(text.format(size=size)) for text, size in ((ECG, "12x200"), (SCAN, "2x8x12x16")))
    fields = {node["path"]: node["receptive_field"] for node in params_json(scan.graph)["nodes"]}
    assert (fields["a.conv"], fields["b"], fields["c"], fields["f.1"]) == ([3, 3, 3], [3, 5, 5], [3, 9, 9], None)
    assert [n["receptive_field"] for n in params_json(ecg.graph)["nodes"]][1:6] == [[15], [15], [15], [19], [51]]
    (row,) = [row for row in csv.DictReader(io.StringIO(params_csv(scan.graph))) if row["path"] == "c"]
    assert (row["output"], row["receptive_field"]) == ("12x8x3x4", "3x9x9")


def test_the_tables_show_every_axis() -> None:
    summary = summarize(archdsl.loads(SCAN.format(size="2x8x12x16")).graph)
    rows = {
        re.split(r"\s{2,}", line)[0]: re.split(r"\s{2,}", line) for line in params_table(summary).splitlines() if line
    }
    assert rows["a"][1:3] == ["3x3x3 conv 8 bn relu", "8 x 8 x 12 x 16"] and rows["a"][-1] == "3"
    assert rows["b"][1:3] == ["1x3x3 maxpool /1x2x2", "8 x 8 x 5 x 7"] and rows["b"][-1] == "3 x 5 x 5"
    assert rows["sizes"][1] == "D >= 1, H >= 3, W >= 3"
    assert "| `c` | `1x3x3 conv 12 /1x2x2 groups=2` | 12 x 8 x 3 x 4 | 444 |" in params_markdown(summary)
    signal = params_table(summarize(archdsl.loads(ECG.format(size="12x200")).graph))
    assert re.search(r"15 conv 8 /2 bn relu +8 x 100 ", signal) and "sizes      L >= 5" in signal


def test_equal_blocks_of_a_volume_share_a_row() -> None:
    text = """
    input: 4x8x8x8
    blocks: {b: {residual: [1x3x3 conv 4 bn relu]}, c: {residual: [3x3x1 conv 4 bn relu]}}
    net:
      same: 3 * b
      other: 2 * c
    """
    table = params_table(summarize(archdsl.loads(text).graph))
    assert "same.0 .. same.2  x3" in table and "other.0 .. other.1  x2" in table
    assert [line.split("  ")[-1].strip() for line in table.splitlines() if " x3 " in line or " x2 " in line] == [
        "1 x 7 x 7",
        "5 x 11 x 7",
    ]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("12x64", ["15 conv 8 pad=[14,0]", "3 maxpool /2 pad=[1,0]", "pad [2,0] channels=[1,3]", "upsample 2"]),
        (
            "3x64x64",
            [
                "3x3 conv 8 dilation=[1,2]",
                "1x7 conv 8 /1x2 pad=[1,0,1,0]",
                "2x3 maxpool /1x2",
                "pad 1 channels=[2,2]",
                "upsample [2,1]",
            ],
        ),
        ("1x8x64x64", ["1x3x3 conv 8 /1x2x2 pad=[0,1,1,0,0,0]", "pad [0,0,1,0,0,0]", "upsample [1,2,2] linear"]),
    ],
)
def test_the_text_of_an_op_is_the_op(size: str, words: list[str]) -> None:
    """Sides are a list and axes have an `x` between them, as a spec writes them, so a printed op can be copied."""
    net = archdsl.loads(f"input: {size}\nnet:\n" + "".join(f"  - {word}\n" for word in words))
    printed = [written(node.op) for node in net.graph.nodes[1:]]
    again = archdsl.loads(f"input: {size}\nnet:\n" + "".join(f"  - {word}\n" for word in printed))
    assert printed == words and [node.op for node in again.graph.nodes] == [node.op for node in net.graph.nodes]
