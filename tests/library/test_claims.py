"""Claims: published numbers against the truth, at the precision they are written with."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.library.claims import agrees, check_claims, differences, formatted_as

SPEC = """\
name: tiny
input: 3x8x8
net:
  conv: 3x3 conv 10 nobias
  pool: gap
  fc: fc 10
claims: %s
"""
PARAMS = 3 * 10 * 9 + 10 * 10 + 10  # 380


@pytest.mark.parametrize(
    ("text", "true", "right"),
    [
        ("4.09G", 4_089_184_256, True),
        ("4.09G", 4_095_000_000, True),  # exactly half a unit away
        ("4.09G", 4_095_000_001, False),
        ("4.09G", 4_085_000_000, True),
        ("4.09G", 4_084_999_999, False),
        ("138M", 138_357_544, True),
        ("138M", 138_500_001, False),
        ("138.4M", 138_357_544, True),
        ("138.3M", 138_357_544, False),
        ("25,557,032", 25_557_032, True),
        ("25_557_032", 25_557_032, True),
        ("25557032", 25_557_033, False),
        ("1.5k", 1_549, True),
        ("1.5K", 1_551, False),
        ("2B", 2_400_000_000, True),
        ("1.25T", 1_254_999_999_999, True),
        ("50", 50, True),
        ("50", 51, False),
        ("50.0", 50, True),
        ("50%", 50, False),
        ("0", 0, True),
        ("16 M", 16_400_000, True),
    ],
)
def test_agrees(text: str, true: int, right: bool) -> None:
    assert agrees(text, true) is right


@pytest.mark.parametrize(
    ("text", "true", "written"),
    [
        ("24.0M", 25_557_032, "25.6M"),
        ("3G", 4_500_000_000, "5G"),
        ("7.00k", 1_234, "1.23k"),
        ("9", 10, "10"),
        ("25,557,031", 25_557_032, "25,557,032"),
        ("25557031", 25_557_032, "25557032"),
        ("3M", 44_314, "44314"),
        ("0.5M", 999_999, "1.0M"),
    ],
)
def test_the_computed_number_in_the_format_of_the_claim(text: str, true: int, written: str) -> None:
    assert formatted_as(text, true) == written
    assert agrees(written, true)


def test_a_wrong_claim_is_an_error_at_its_value() -> None:
    net = archdsl.loads(SPEC % "{params: 400, macs: 1M, depth: 2}")
    found = differences(check_claims(net.document.claims, net.totals))
    assert [(d.code, d.severity) for d in found] == [("E0902", "error"), ("E0902", "error")]
    assert found[0].span is not None
    assert found[0].span.text == "400"
    assert found[0].message == "`params` is claimed to be 400; it is 380"
    assert found[0].label == "380"
    assert "write `380`" in found[0].help
    assert "17380" in found[1].label


def test_a_claim_with_a_note_is_known_to_differ() -> None:
    net = archdsl.loads(SPEC % "{params: {value: 400, source: the paper, note: it counts twice}}")
    (found,) = differences(check_claims(net.document.claims, net.totals))
    assert (found.code, found.severity) == ("N0902", "note")
    assert found.notes == ("claimed by the paper", "it counts twice")


def test_what_a_verdict_says() -> None:
    net = archdsl.loads(SPEC % "{params: 380, macs: 17.4k, depth: 3, top1: 71.2%}")
    texts = [str(v) for v in check_claims(net.document.claims, net.totals)]
    assert texts == ["params 380", "macs 17.4k (17,380)", "depth 3 (differs: 2)", "top1 71.2% (unchecked)"]
    assert net.params == PARAMS
