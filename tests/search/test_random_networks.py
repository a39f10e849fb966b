"""Random networks against the reference, a sample; all of them by `--all`, more by `python -m
tests.search.random_networks`."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from tests.search.networks.check import check
from tests.search.networks.known import KNOWN
from tests.search.networks.make import specification
from tests.search.networks.planted import Bug, mismatches

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


@pytest.mark.parametrize("first", range(100_000, 100_012, 4))
def test_every_comparison(first: int) -> None:
    """A few networks with the comparisons of `--all`."""
    for seed in range(first, first + 4):
        result = check(specification(seed), seed, every=True)
        assert not result.mismatches, f"`python -m tests.search.random_networks --all --count 1 --seed {seed}`"


CAUGHT = {
    "onnx: a pad lists the axes that it changes": 50_100,
    "torch: a concat moves before the dropouts that lead to it": 50_146,
    "ops: a crop may leave nothing before other sides add": 50_127,
    "ops: a group norm reads one pixel": 50_000,
    "torch: a module on meta is in training mode": 50_000,
    "differences: implied nodes have names of their own": 50_004,
    "elaborate: the node before a left-out one stands for it": 50_018,
    "elaborate: what a left-out node reads must exist": 50_003,
    "language: new nodes of a variant go last": 50_008,
    "analysis: nodes that nothing reads are work": 50_009,
}
"""A network that finds the bug. If networks are drawn in another way: `python -m tests.search.networks.planted`."""


@pytest.mark.parametrize("bug", [bug for bug in KNOWN if bug.name in CAUGHT], ids=lambda bug: bug.name)
def test_a_fault_that_archdsl_once_had_is_found_again(bug: Bug) -> None:
    assert mismatches(bug, CAUGHT[bug.name])


@pytest.mark.parametrize("first", range(0, 80, EACH))
def test_a_sample(first: int) -> None:
    run(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(80, 1000, EACH))
def test_a_thousand(first: int) -> None:
    run(first)
