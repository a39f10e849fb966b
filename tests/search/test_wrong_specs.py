"""Sound specs with one mistake, a sample: the right code, on the right line, once. More by `python -m
tests.search.wrong_specs`."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.search.networks.wrong import STRICTER, judged, mistake

EACH = 40


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(EACH, 2000, EACH))])
def test_mistakes(first: int) -> None:
    for seed in range(first, first + EACH):
        wrong = judged(mistake(seed))
        assert not wrong.trouble, f"{seed}: {wrong.name}\n{wrong.text}"
        assert wrong.torch or wrong.code in STRICTER, (
            f"{seed}: torch takes what {wrong.code} refuses, for no reason given"
        )
