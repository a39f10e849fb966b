"""The names of the axes (`archdsl/axes.py`)."""

from __future__ import annotations

import pytest

from archdsl.axes import IMAGE, KINDS, MOST, axes_of, kind_of


def test_each_kind_has_a_name_for_each_axis() -> None:
    for axes, kind in enumerate(KINDS):
        assert axes == len(kind.letters) == len(kind.extents) == len(kind.sizes)
        assert len(kind.example.split("x")) == axes + 1 or not kind.example
    assert MOST == 3


@pytest.mark.parametrize(
    ("shape", "noun", "form"),
    [
        ((784,), "a vector", "C"),
        ((12, 5000), "a signal", "C x L"),
        ((3, 224, 224), "an image", "C x H x W"),
        ((1, 96, 96, 96), "a volume", "C x D x H x W"),
    ],
)
def test_the_kind_follows_from_the_shape(shape: tuple[int, ...], noun: str, form: str) -> None:
    kind = kind_of(shape)
    assert (axes_of(shape), kind.noun, kind.form) == (len(shape) - 1, noun, form)
    assert kind.bare == noun.split()[1]
    assert (kind is IMAGE) == (noun == "an image")
