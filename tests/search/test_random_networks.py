"""Random networks against the reference, a sample; all of them by `--all`, more by `python -m
tests.search.random_networks`."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from tests.search.networks.check import check
from tests.search.networks.make import specification

EACH = 20
"""Networks of one test: workers share them in parts."""


def run(first: int) -> None:
    failed = []
    rejected = 0
    for seed in range(first, first + EACH):
        result = check(specification(seed), seed, deep=seed % 4 == 0)
        failed += [(seed, *mismatch) for mismatch in result.mismatches]
        rejected += bool(result.rejected)
    assert not failed, f"repeat with `python -m tests.search.random_networks --count 1 --seed {failed[0][0]}`"
    assert rejected <= 1, "archdsl refuses sound specs"


@pytest.mark.parametrize("first", range(0, 80, EACH))
def test_a_sample(first: int) -> None:
    run(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(80, 1000, EACH))
def test_a_thousand(first: int) -> None:
    run(first)
