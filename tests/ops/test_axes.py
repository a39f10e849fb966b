"""The names of the axes (`archdsl/axes.py`)."""

from __future__ import annotations

import pytest

from archdsl.axes import IMAGE, KINDS, MOST, axes_of, channels_first, in_short, kind_of, uniform


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


@pytest.mark.parametrize(
    ("shape", "first"),
    [
        ((224, 224, 3), (3, 224, 224)),
        ((96, 96, 96, 1), (1, 96, 96, 96)),
        ((5000, 12), (12, 5000)),
        ((1000, 12), (12, 1000)),
        ((4096, 12), (12, 4096)),
        ((16000, 1), (1, 16000)),
    ],
)
def test_channels_that_are_last(shape: tuple[int, ...], first: tuple[int, ...]) -> None:
    assert channels_first(shape) == first


@pytest.mark.parametrize(
    "shape",
    [
        (784,),
        (3, 224, 224),
        (512, 7, 7),
        (12, 5000),
        (512, 7),
        (2048, 7),
        (2208, 7),
        (1025, 32),
        (300, 16),
        (5000, 100),
    ],
)
def test_channels_that_may_be_first(shape: tuple[int, ...]) -> None:
    """Feature maps, vectors of words and spectrograms have many channels."""
    assert channels_first(shape) == ()


@pytest.mark.parametrize(
    ("sizes", "number", "text"), [((3,), 3, "3"), ((2, 2), 2, "2"), ((1, 2, 2), (1, 2, 2), "1x2x2"), ((), (), "")]
)
def test_equal_numbers_are_one(sizes: tuple[int, ...], number: object, text: str) -> None:
    assert (uniform(sizes), in_short(sizes)) == (number, text)
    assert in_short(sizes, " x ") == text.replace("x", " x ")
