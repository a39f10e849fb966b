"""Specs that must come back as the same network, a sample; more by `python -m tests.search.round_trips`."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")

from tests.search.round_trips import mismatches, of_docs, of_library, random_spec, sound

LONG_CONSTANT = f"""
name: long_constant
input: 12x9x9
net:
  a: {{op: conv, out: 3, kernel: 7, weight: {[[[[0.5] * 7] * 7] * 12] * 3}}}
"""


def test_long_constants(tmp_path: Path) -> None:
    """The text in the file was a short string that the reader refuses."""
    assert mismatches(LONG_CONSTANT, folder=tmp_path) == []


@pytest.mark.slow
def test_the_specs_of_the_docs() -> None:
    assert [(name, wrong) for name, text in of_docs() if sound(text) for wrong in mismatches(text)] == []


@pytest.mark.parametrize("first", range(0, 24, 6))
def test_random_specs(first: int, tmp_path: Path) -> None:
    """Through every form of the text, and one in three through compiled files of every precision."""
    for seed in range(first, first + 6):
        text = random_spec(seed)
        if sound(text):
            assert mismatches(text, folder=None if seed % 3 else tmp_path) == [], seed


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("name", ["resnet20", pytest.param("*", marks=pytest.mark.slow)])
def test_networks_of_the_library_on_signals_and_volumes(name: str, axes: int) -> None:
    """`expand --flat` kept the preprocessing of the images that there were."""
    done = [(name, mismatches(text)) for name, text in of_library(name, axes) if sound(text)]
    assert done and [(name, wrong) for name, wrong in done if wrong] == []


@pytest.mark.slow
def test_the_library() -> None:
    assert [(name, wrong) for name, text in of_library("*") for wrong in mismatches(text)] == []
