"""Which test files are light: `tests/support/light.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.light import is_light
from tests.support.places import TESTS


@pytest.mark.parametrize(
    ("text", "light"),
    [
        ("import archdsl, json, numpy\nfrom archdsl.spec.find import library_files", True),
        ("def test():\n    torch = pytest.importorskip('torch')", True),
        ("import torch", False),
        ("def test():\n    from torch import nn", False),
        ("from archdsl.backends.torch.module import to_torch", False),
        ("from archdsl.backends.torch import module", False),
        ("from tests.support import per_axis", False),
        ("import a_package_that_is_new", False),
    ],
)
def test_imports_decide(text: str, light: bool, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(text, encoding="utf-8")
    assert is_light(tmp_path / "test_a.py") is light


def test_most_rooms_have_light_tests() -> None:
    rooms = {path.parent.name for path in TESTS.rglob("test_*.py") if is_light(path)}
    assert rooms >= {"analysis", "cli", "diagnostics", "drawing", "elaborate", "language", "library", "onnx", "ops"}
    assert not is_light(TESTS / "torch/test_networks.py")
