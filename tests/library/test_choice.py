"""Pareto fronts and networks that lack a figure: `library/choice.py`."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

import archdsl
from archdsl.library.choice import choice, front
from archdsl.library.columns import SORTED

ENTRY = archdsl.compare("lenet5").entries[0]


def test_a_front_is_that_of_brute_force() -> None:
    rng = random.Random(21)
    for _ in range(20):
        entries = [
            replace(ENTRY, name=str(n), params=rng.randrange(8), macs=rng.randrange(8), depth=rng.randrange(8))
            for n in range(40)
        ]
        costs = [(e.params, e.macs, -e.depth) for e in entries]
        best = [
            e.name
            for e, own in zip(entries, costs, strict=True)
            if not any(o != own and all(a <= b for a, b in zip(o, own, strict=True)) for o in costs)
        ]
        assert [e.name for e in front(entries, ("params", "macs", "depth"))] == best
        kept, beaten, _ = choice(None, "params,macs,depth", None, False, SORTED).apply(entries)
        assert [e.name for e in kept] == best and len(kept) + len(beaten) == len(entries)


def test_networks_without_a_figure_are_named() -> None:
    result = archdsl.compare("resnet18", "resnet34", "lenet5", pareto="top1,macs")
    assert {e.name for e in result.entries} == {"resnet18", "resnet34"}
    assert any("left out" in note and "top-1" in note and "lenet5" in note for note in result.notes)


def test_networks_without_the_argument_are_named() -> None:
    result = archdsl.compare("resnet18", "lenet5", args={"base": 32})
    assert [e.name for e in result.entries] == ["resnet18"]
    assert any("`base`" in note and "lenet5" in note for note in result.notes)
    with pytest.raises(archdsl.ArchError, match="E0212"):
        archdsl.compare("lenet5", args={"base": 32})


@pytest.mark.parametrize(
    ("where", "pareto", "code"),
    [
        ("params < 1", "", "E0913"),
        (None, "params", "E0002"),
        (None, "params,year", "E0001"),
        (None, "top1,macs", "E0913"),
    ],
)
def test_wrong_choices(where: str | None, pareto: str, code: str) -> None:
    with pytest.raises(archdsl.ArchError, match=code):
        archdsl.compare("lenet5", where=where, pareto=pareto)
