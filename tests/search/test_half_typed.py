"""Texts that are being typed, a sample. More by `python -m tests.search.half_typed`."""

from __future__ import annotations

from tests.search.half_typed import search


def test_half_typed_texts() -> None:
    found = search(30, seed=1)
    assert not found.crashes
    assert found.not_yaml + found.wrong > 15
    assert found.kept > 0.98 * found.lines
