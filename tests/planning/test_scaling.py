"""Compound scaling: the published networks, and arguments that are counts. Tests `planning/scaling.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.planning.scaling import Coefficients, scaled

PUBLISHED = {1: ("1.1", 240), 2: ("1.2", 260), 3: ("1.4", 300), 4: ("1.8", 380)}
"""Depth and resolution of EfficientNet-B1 to B4, as released: rounded by hand, so a few per cent from the rule."""


@pytest.mark.parametrize("phi", PUBLISHED)
def test_efficientnets_are_near_the_published_ones(phi: int) -> None:
    released = archdsl.load(f"efficientnet_b{phi}", input=f"3x{PUBLISHED[phi][1]}x{PUBLISHED[phi][1]}")
    # B1 to B4 follow phi = 0.5, 1, 2 and 3 (Tan and Le 2019, and the released code).
    solution = archdsl.solve("efficientnet_b0", scale={1: 0.5, 2: 1.0, 3: 2.0, 4: 3.0}[phi])
    assert solution.network.params == pytest.approx(released.params, rel=0.35)
    assert solution.network.macs == pytest.approx(released.macs, rel=0.35)


def test_counts_are_rounded_up_and_widths_to_multiples_of_8(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "name: net\ninput: 1x64x64\n"
        "args: {n: {default: [2, 3], scale: depth}, w: {default: 32, scale: width}, m: {default: 1.0, scale: width}}\n"
        "net:\n  a: n[0] * 3x3 conv w\n  b: n[1] * 3x3 conv divisible(w*m, 8)\n  pool: gap\n  fc: fc 2\n"
    )
    args, size = scaled(archdsl.load(path), 2, Coefficients(1.2, 1.1, 1.5**0.5))
    assert args == {"n": (3, 5), "w": 40, "m": 1.21}  # 2 * 1.44, 3 * 1.44; 32 * 1.21 = 38.72; 1.1 ** 2
    assert size == "1x96x96"  # 64 * 1.5 = 96
    assert scaled(archdsl.load(path), 0) == ({"n": (2, 3), "w": 32, "m": 1.0}, None)


def test_the_largest_scaling_within_a_budget() -> None:
    solution = archdsl.solve("efficientnet_b0", scale=True, budgets={"macs": "1G"})
    assert solution.setting.phi == 1.0 and solution.network.macs <= 10**9
    assert solution.next is not None and solution.next.phi == 1.1
    larger = archdsl.solve("efficientnet_b0", scale=1.1)
    assert larger.network.macs > 10**9


TOY = """
input: 1x32x32
args: {w: {default: 8, scale: width}, n: {default: 1, scale: depth}}
net: {body: n * 3x3 conv w, pool: gap, fc: fc 3}
"""


def test_further_scalings_are_tried_where_none_fails(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(TOY)
    solution = archdsl.solve(path, scale=True, budgets={"params": "<=60k"})
    assert solution.setting.phi is not None and solution.setting.phi > 7 and solution.next is not None
    larger = archdsl.solve(path, scale=True, budgets={"params": ">=60k", "macs": "<=20G"})
    assert larger.network.params >= 60_000
    open_ended = archdsl.solve(path, scale=True, budgets={"params": "<=1G"})
    assert open_ended.next is None and "no larger scaling was tried" in open_ended.text()


@pytest.mark.parametrize(
    "wrong", [{"scale": 5000}, {"scale": float("nan")}, {"coefficients": (1.2, 1.1)}, {"coefficients": (0, 1, 1)}]
)
def test_wrong_scalings(wrong: dict[str, Any]) -> None:
    with pytest.raises(archdsl.ArchError, match="E0002"):
        archdsl.solve("efficientnet_b0", **{"scale": 1, **wrong})
    assert archdsl.solve("efficientnet_b0", scale=1, coefficients=(1.2, 1.1, 1.15)).setting.phi == 1


def test_a_network_without_marks() -> None:
    with pytest.raises(archdsl.ArchError) as caught:
        archdsl.solve("lenet5", scale=1)
    assert caught.value.diagnostics[0].code == "E0919"
