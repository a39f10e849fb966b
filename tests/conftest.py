"""What the tests share: the flags, and networks from text."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archdsl
import archdsl.packages
from tests.support.light import is_light

# Workers share the cores: more threads in each would only wait for one another. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="every network of the library, not one per family")
    parser.addoption("--update-goldens", action="store_true", help="rewrite the expected outputs")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m light`, files that import PyTorch are not even imported."""
    if config.option.markexpr == "light" and collection_path.name.startswith("test_") and collection_path.is_file():
        return True if not is_light(collection_path) else None
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "light" in config.option.markexpr:
        for item in items:
            if "extra" not in item.keywords and is_light(item.path):
                item.add_marker(pytest.mark.light)
    if not config.getoption("--all"):  # deselected, not skipped: reports of 8,000 skipped tests take a minute
        slow = [item for item in items if "slow" in item.keywords]
        if slow:
            config.hook.pytest_deselected(items=slow)
            items[:] = [item for item in items if "slow" not in item.keywords]


@pytest.fixture(autouse=True)
def _light(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `-m light`, a test is skipped when archdsl misses the package of an extra, such as that of PDF."""
    if "light" not in request.config.option.markexpr:
        return
    find_spec = archdsl.packages.find_spec

    def found(package: str) -> object:
        if (spec := find_spec(package)) is None and package in archdsl.packages.EXTRAS:
            pytest.skip(f"needs the extra {archdsl.packages.EXTRAS[package]}")
        return spec

    monkeypatch.setattr(archdsl.packages, "find_spec", found)


@pytest.fixture
def net() -> Callable[..., Any]:
    """`net("net: [3x3 conv 8]", input="3x32x32")`: a network from the text of a spec."""

    def make(text: str, input: str = "3x32x32", **args: Any) -> archdsl.Network:
        text = textwrap.dedent(text).lstrip()
        if not text.startswith("input:"):
            text = f"input: {input}\n{text}"
        return archdsl.loads(text, **args)

    return make
