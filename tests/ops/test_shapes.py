"""Sizes in closed form, against torch and against plain stepwise arithmetic."""

from __future__ import annotations

import random

import pytest
import torch

from archdsl.ops.base import divisors
from archdsl.shapes import Dim, Inexpressible, Size, Symbol, agree, at, floordiv, plus, same_pads, times, window


def step(size: int, k: int, s: int, d: int, p: int, ceil: bool) -> int:
    """torch's own rule, one window after the other (aten/src/ATen/native/Pool.h)."""
    reach = d * (k - 1) + 1
    out = (size + 2 * p - reach + (s - 1 if ceil else 0)) // s + 1
    return out - 1 if ceil and (out - 1) * s >= size + p else out


def test_a_chain_of_windows_is_its_closed_form() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        symbol = Symbol("H", rng.randint(200, 400))
        size: Size = Dim(symbol)
        chain = []
        for _ in range(rng.randint(1, 6)):
            k, s, d = rng.randint(1, 5), rng.randint(1, 3), rng.randint(1, 2)
            p = rng.randint(0, (d * (k - 1) + 1) // 2)
            chain.append((k, s, d, p, rng.random() < 0.4))
            size = window(size, k, s, d, p, ceil=chain[-1][4])
        for value in range(180, 420, 7):
            expected = value
            for k, s, d, p, ceil in chain:
                expected = step(expected, k, s, d, p, ceil)
            assert isinstance(size, Dim)
            assert size.at(value) == expected, chain


@pytest.mark.parametrize("ceil", [False, True])
def test_window_is_torchs(ceil: bool) -> None:
    for size in range(1, 20):
        for k in range(1, 5):
            for s in range(1, 5):
                for p in range(k // 2 + 1):
                    expected = window(size, k, s, 1, p, ceil=ceil)
                    if at(expected) < 1 or size + 2 * p < k:
                        continue
                    image = torch.zeros(1, 1, size, size, device="meta")
                    got = torch.nn.functional.max_pool2d(image, k, s, p, ceil_mode=ceil).shape[2]
                    assert expected == got, (size, k, s, p)


def test_equal_functions_are_equal_values() -> None:
    h = Dim(Symbol("H", 224))
    assert window(window(h, 2, 2), 2, 2) == window(h, 4, 4) == floordiv(h, 4)
    assert plus(plus(h, 3), -3) == h
    assert floordiv(times(h, 6), 3) == times(h, 2)
    assert floordiv(times(floordiv(h, 16), 2), 4) == floordiv(h, 32)


def test_what_the_form_cannot_say_is_refused() -> None:
    with pytest.raises(Inexpressible):
        floordiv(times(Dim(Symbol("H", 224)), 2), 3)


def test_agree_finds_the_step() -> None:
    h = Dim(Symbol("H", 224))
    assert agree(h, times(floordiv(h, 16), 16)) == (16, 0)
    assert agree(floordiv(h, 8), times(floordiv(h, 16), 2)) == (16, 0)
    assert agree(h, h) == (1, 0)
    assert agree(h, plus(h, 1)) is None
    assert agree(floordiv(h, 2), floordiv(plus(h, 1), 2)) == (2, 0)
    assert agree(h, 224) is None


def test_same_padding_is_tensorflows() -> None:
    # total = max((ceil(size / stride) - 1) * stride + kernel - size, 0), the odd pixel at the end
    assert same_pads(224, 3, 2, 1) == (0, 1)
    assert same_pads(225, 3, 2, 1) == (1, 1)
    assert same_pads(7, 3, 1, 1) == (1, 1)
    assert same_pads(5, 2, 2, 1) == (0, 1)


def test_dims_show_themselves() -> None:
    h = Dim(Symbol("H", 224))
    assert str(window(h, 7, 2, 1, 3)) == "(H + 1)//2"
    assert str(plus(times(h, 2), -1)) == "2*H - 1"


def test_a_help_names_twelve_divisors_at_most() -> None:
    assert divisors(60) == "60 can be divided by 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60"
    assert divisors(64, 120) == "64 and 120 can be divided by 1, 2, 4, 8"
    assert divisors(120).endswith(", 20, 24, ...")
