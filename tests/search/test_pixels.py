"""The comparison of pixels finds a difference that is there."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.search.pixels import TOLERANCE, difference, report


def png(*levels: int) -> bytes:
    image = Image.new("RGB", (len(levels), 1))
    image.putdata([(level, level, level) for level in levels])
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def test_the_largest_difference_and_the_pixels_that_differ() -> None:
    assert difference("x", png(1, 2, 3), png(1, 2, 3))[1:3] == (0, 0)
    assert difference("x", png(10, 20, 30), png(10, 60, 29))[1:3] == (40, 2)
    assert difference("x", png(1, 2), png(1, 2, 3)).largest == 255


def test_only_what_exceeds_the_tolerance_fails(capsys: pytest.CaptureFixture[str]) -> None:
    within, beyond = (difference("x", png(0), png(level)) for level in (TOLERANCE, TOLERANCE + 1))
    assert (report([within]), report([within, beyond])) == (0, 1)
    assert "2 drawings compared: 0 equal in every pixel, 2 differ by at most 9" in capsys.readouterr().out
