"""Why a claim differs: every way of counting, worked out here by hand, is recognised by `archdsl check --why`.

Tests `library/check_report.py` and `library/reasons.py`.
"""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.library import reasons
from archdsl.library.check import check
from archdsl.library.claims import NO_REASON

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
    (found,) = check(path, why=True).diagnostics
    assert found.code == "E0902"
    _is_first(found.notes, f"{why}: {number:,}")


def _is_first(notes: tuple[str, ...], reason: str) -> None:
    """The only note begins with the reason; it is only possible if others fit, too."""
    (note,) = notes
    assert note == f"likely: {reason}" or note.startswith(f"possible: {reason}; or "), note


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
    assert [note for d in check(path, why=True).diagnostics for note in d.notes] == [why]


@pytest.mark.parametrize(("claim", "text"), [("params", "1,234"), ("macs", "7"), ("depth", "40")])
def test_nothing_is_made_up(claim: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC % (claim, text))
    (found,) = check(path, why=True).diagnostics
    assert found.notes == (NO_REASON,)


@pytest.mark.parametrize(
    ("text", "notes", "searches"),
    [("1,234", ["`archdsl check --why` searches for the reason"], 1), (f"{PARAMS:,}", [], 0), ("99%", [], 1)],
)
def test_the_search_runs_on_demand(
    text: str, notes: list[str], searches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Mock(return_value="")
    monkeypatch.setattr("archdsl.library.check.likely", search)
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC % ("params", text))
    assert [note for d in check(path).diagnostics for note in d.notes] == notes
    assert search.call_count == 0
    check(path, why=True)
    assert search.call_count == searches


@pytest.mark.parametrize(
    "name",
    ["tiny", "googlenet", "efficientnet_b0", "mobilenet_v3_small", "shufflenet", "densenet121", "inception_v3", "unet"],
)
def test_the_macs_at_another_size_are_those_of_the_spec_at_that_size(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC % ("params", 1))
    spec = path if name == "tiny" else name
    graph = archdsl.load(spec).graph
    channels = graph.nodes[0].shape[0]
    for side in (224, 227, 331, 96, 28):
        try:
            macs: int | None = archdsl.load(spec, input=f"{channels}x{side}x{side}").macs
        except archdsl.ArchError:
            macs = None
        assert reasons.macs_at(graph, (side, side)) == macs, side


SIGNAL = "name: n\ninput: 2x500\nnet: {a: 5 conv 4 /2, g: gap, f: fc 3}\nclaims: {macs: %s}\n"
VOLUME = "name: n\ninput: 1x32x32x32\nnet: {a: 3x3x3 conv 4, b: 1x3x3 conv 2 /1x2x2, f: gap}\nclaims: {macs: %s}\n"
GATED = "name: n\ninput: 4x8x8x8\nnet: {gate: {branches: [identity, {s: gap, e: 1x1x1 conv 4 sigmoid}], merge: mul}, \
g: gap, f: fc 3}\nclaims: {depth: %s}\n"


@pytest.mark.parametrize(
    ("spec", "number", "why"),
    [
        (SIGNAL, 2500 * 2 * 4 * 5 + 12, "for an input of 5000"),
        (VOLUME, 96**3 * 27 * 4 + 96 * 48 * 48 * 4 * 2 * 9, "for an input of 96 x 96 x 96"),
        (GATED, 1, "without the gates of squeeze-and-excitation"),
    ],
    ids=["signal", "volume", "gates"],
)
def test_signals_and_volumes_have_reasons_too(spec: str, number: int, why: str, tmp_path: Path) -> None:
    (path := tmp_path / "n.yaml").write_text(spec % number)
    (found,) = check(path, why=True).diagnostics
    _is_first(found.notes, f"{why}: {number:,}")


@pytest.mark.parametrize("sizes", [(5, 9, 40), (32, 32, 32), (1, 2, 3)])
def test_the_macs_of_a_volume_at_another_size_are_those_of_the_spec_at_that_size(sizes: tuple[int, ...]) -> None:
    text = VOLUME % 1
    own = archdsl.loads(text.replace("1x32x32x32", "x".join(map(str, (1, *sizes)))))
    assert reasons.macs_at(archdsl.loads(text).graph, sizes) == own.macs


def test_a_user_is_told_beside_the_specs_own_note() -> None:
    told = CliRunner().invoke(main, ["check", "nasnetalarge"]).stdout
    assert "88.9M; it is 88,753,150" in told
    assert "likely" not in told and "--why" not in told, "the spec gives a reason"
    told = CliRunner().invoke(main, ["check", "--why", "nasnetalarge"]).stdout
    assert "possible: " in told and "with the running statistics of batch norm: 88,949,818" in told


def test_one_source_for_all_claims(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC.replace("{%s: ", "{source: Table 3, top1: {value: 70, source: Table 4}, %s: ") % ("params", 7))
    (verdicts,) = check(path).verdicts.values()
    assert [(v.claim.name, v.claim.source) for v in verdicts] == [("top1", "Table 4"), ("params", "Table 3")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("extends: resnet18\nargs: {classes: 100}\nclaims: {params: 11.69M}\n", "with 1,000 classes: 11,689,512"),
        (
            "extends: inception_v3\ninput: 3x224x224\nclaims: {params: 27.2M}\n",
            "with the auxiliary heads that need a larger input, `AuxLogits`: 27,161,264",  # as torchvision counts
        ),
    ],
)
def test_the_likeliest_number_of_classes_and_heads_that_are_left_out(text: str, why: str, tmp_path: Path) -> None:
    (path := tmp_path / "n.yaml").write_text(text)
    (found,) = (d for d in check(path, why=True).diagnostics if d.severity == "error")
    assert found.notes == (f"likely: {why}",)


def test_a_segmentation_has_no_other_number_of_classes(tmp_path: Path) -> None:
    """With 100 classes, a U-Net would have 6,370 parameters more: chance, and no way of counting."""
    net = "input: 1x8x8\nnet: [3x3 conv 64, 1x1 conv 2]\n"
    (path := tmp_path / "n.yaml").write_text(f"{net}claims: {{params: {archdsl.loads(net).params + 98 * 65}}}\n")
    (found,) = check(path, why=True).diagnostics
    assert found.notes == (NO_REASON,)
