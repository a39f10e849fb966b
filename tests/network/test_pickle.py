"""Networks are pickled and copied; the copy has the same graph, arguments and errors, and reads no file.

Tests `archdsl.network.network` and `archdsl.network.open`.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import archdsl

WAYS = [copy.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))]


@pytest.mark.parametrize("way", WAYS)
def test_copies(way: Callable[[archdsl.Network], archdsl.Network], tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("args: {n: 4}\ninput: 3x8x8\nnet: {a: 3x3 conv n bn relu, b: fc 2}", encoding="utf-8")
    network = archdsl.load(file, n=6, input="3x16x12")
    file.unlink()
    made = way(network)
    assert made.fingerprint == network.fingerprint
    assert (made.input, made.args, made.files) == ((3, 16, 12), {"n": 6}, network.files)
    assert [str(node.origin.span) for node in made.nodes] == [str(node.origin.span) for node in network.nodes]


@pytest.mark.parametrize("way", WAYS)
def test_copies_of_an_incomplete_network(way: Callable[[archdsl.Network], archdsl.Network]) -> None:
    network = archdsl.loads("input: 3x8x8\nnet: [3x3 cnv 8, gap]", partial=True)
    made = way(network)
    assert not made.complete
    assert list(map(str, made.errors)) == list(map(str, network.errors))
