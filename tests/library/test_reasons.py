"""Why a claim differs: every way of counting, worked out here by hand, is recognised and told by `archdsl check`.

Tests `library/check_report.py` and `library/reasons.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from archdsl.cli import main
from archdsl.library.check import check

SPEC = """\
name: tiny
input: 3x32x32
defaults: {conv: bn relu}
net:
  a: 3x3 conv 16
  b: 3x3 conv 16 groups=4
  d: 3x3 dwconv
  c: 3x3 conv 8 plain
  pool: 2x2 maxpool
  gate: {branches: [identity, {squeeze: gap, excite: 1x1 conv 8 plain sigmoid}], merge: mul}
  last: gap
  fc: fc 10
aux: {head: {from: a, do: [gap, fc 10]}}
claims: {%s: "%s"}
"""
NORMS = 3 * 2 * 16
BIASES = 8 + 8 + 10
WEIGHTS = 3 * 16 * 9 + 4 * 16 * 9 + 16 * 9 + 16 * 8 * 9 + 8 * 8 + 80
PARAMS = WEIGHTS + NORMS + BIASES
PIXELS = 32 * 32
CONVS = PIXELS * (432 + 576 + 144 + 1152) + 64
MACS = CONVS + 80


@pytest.mark.parametrize(
    ("claim", "number", "why"),
    [
        ("params", PARAMS + 16 * 10 + 10, "with the auxiliary heads"),
        ("params", 16 * 10 + 10, "of the auxiliary heads only"),
        ("params", PARAMS + NORMS, "with the running statistics of batch norm"),
        ("params", PARAMS - BIASES, "without the biases"),
        ("params", PARAMS - NORMS, "without the parameters of norms"),
        ("params", WEIGHTS, "weights only, without biases and norms"),
        ("params", PARAMS + 3 * 16, "with a bias in every convolution, also before batch norm"),
        ("params", PARAMS - 90, "without the last layer, `fc`"),
        ("params", PARAMS + 9 * (1000 - 10), "with 1,000 classes"),
        ("params", PARAMS + 3 * 576, "without groups"),
        ("params", 4 * PARAMS, "the bytes of its float32 weights"),
        ("params_with_aux", PARAMS, "without the auxiliary heads"),
        ("macs", 2 * MACS, "FLOPs, two per MAC"),
        ("macs", CONVS, "of the convolutions only"),
        ("macs", MACS + 160, "with the auxiliary heads"),
        ("macs", MACS + 8 * PIXELS + 8 + 10, "with the bias additions"),
        ("macs", MACS + PIXELS * 3 * 576, "without groups"),
        ("macs", 49 * PIXELS * 2304 + 64 + 80, "for an input of 224 x 224"),
        ("depth", 5, "without the gates of squeeze-and-excitation"),
    ],
)
def test_a_way_to_count_is_recognised(claim: str, number: int, why: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC % (claim, number))
    (found,) = check(path).diagnostics
    assert found.code == "E0902"
    (note,) = found.notes
    assert note == f"likely: {why}: {number:,}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2.5k", f"likely: {PARAMS:,} truncated instead of rounded"),
        ("2.51k", "likely: in units of 2^10, 2^20 or 2^30"),
        ("2.4k", f"likely: weights only, without biases and norms: {WEIGHTS:,}"),
    ],
)
def test_rounding_and_units(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC % ("params", text))
    assert [note for d in check(path).diagnostics for note in d.notes] == [why]


@pytest.mark.parametrize(("claim", "text"), [("params", "1,234"), ("macs", "7"), ("depth", "40"), ("params", "99%")])
def test_nothing_is_made_up(claim: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC % (claim, text))
    (found,) = check(path).diagnostics
    assert found.notes == ()


def test_a_user_is_told_beside_the_specs_own_note() -> None:
    told = CliRunner().invoke(main, ["check", "nasnetalarge"]).stdout
    assert "88.9M; it is 88,753,150" in told
    assert "likely: with the running statistics of batch norm: 88,949,818" in told


def test_one_source_for_all_claims(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC.replace("{%s: ", "{source: Table 3, top1: {value: 70, source: Table 4}, %s: ") % ("params", 7))
    (verdicts,) = check(path).verdicts.values()
    assert [(v.claim.name, v.claim.source) for v in verdicts] == [("top1", "Table 4"), ("params", "Table 3")]
