"""Conditions on figures: `library/conditions.py`."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

import archdsl
from archdsl.library.conditions import Condition, Missing

ENTRY = archdsl.compare("lenet5").entries[0]
CONDITIONS = (
    ("params < 5M and macs < 1G", "p < 5e6 and m < 1e9"),
    ("params <= 2.5M or depth >= 20", "p <= 2.5e6 or d >= 20"),
    ("not (macs > 500M) and depth != 7", "not (m > 5e8) and d != 7"),
    ("macs / params > 200 and n == 3", "m / p > 200 and n == 3"),
    ("1M < params", "1e6 < p"),
)


def test_conditions_are_those_of_python() -> None:
    rng = random.Random(21)
    outcomes = set()
    for ours, python in CONDITIONS:
        condition = Condition(ours, ("n",))
        for _ in range(60):
            p, m, d, n = rng.randrange(1, 10**7), rng.randrange(10**9 * 2), rng.randrange(5, 40), rng.randrange(1, 5)
            entry = replace(ENTRY, params=p, macs=m, depth=d, args=(("n", n),))
            holds = condition.holds(entry)
            assert holds == eval(python, {"p": p, "m": m, "d": d, "n": n}), (ours, entry)
            outcomes.add((ours, holds))
    assert len(outcomes) == 2 * len(CONDITIONS)


def test_bytes_have_suffixes() -> None:
    entry = replace(ENTRY, peak_memory_bytes=2 * 2**30)
    assert Condition("peak <= 2 GiB and 1 M > 3").holds(entry)
    assert Condition("peak <= 2GiB").holds(entry) and not Condition("peak <= 2GB").holds(entry)


def test_a_missing_figure_is_named_where_it_decides() -> None:
    entry = replace(ENTRY, top1=None, params=10)
    with pytest.raises(Missing, match="top1"):
        Condition("top1 > 70").holds(entry)
    assert Condition("params < 100 or top1 > 70").holds(entry)
    assert Condition("top1 > 70 and peak < 2GiB").figures == ("peak", "top1")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("params < 5MB", "E0912"),
        ("5MiB > macs", "E0912"),
        ("peak < 5M", "E0912"),
        ("parms < 5", "E0304"),
        ("params <", "E0303"),
        ("", "E0303"),
        ("params < 5m", "write `5M`"),
        ("step < 10GFLOPs", "known: k, K"),
        ("peak < 200", "no unit"),
        ("(200.5) >= training", "no unit"),
        ("family == 'resnet'", "by their names"),
    ],
)
def test_wrong_conditions(text: str, code: str) -> None:
    with pytest.raises(archdsl.ArchError, match=code) as caught:
        Condition(text)
    assert caught.value.status == 2


@pytest.mark.parametrize(
    "text", ["params", "[params]", "params - macs", "params / (macs - macs) > 1", "params and peak"]
)
def test_what_is_no_condition_names_the_network(text: str) -> None:
    with pytest.raises(archdsl.ArchError, match="E0305") as caught:
        Condition(text).holds(ENTRY)
    assert "for `lenet5`" in str(caught.value) and caught.value.status == 2


def test_a_ratio_of_bytes_needs_no_unit() -> None:
    assert Condition("weights / params >= 4 and peak > 0").holds(ENTRY)
