"""The pages under docs/ and the README say what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import archdsl

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def specs_in(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(len(specs_in("docs/language.md"))))
def test_every_spec_of_the_language_page_loads(number: int) -> None:
    text = specs_in("docs/language.md")[number]
    network = archdsl.loads(text)
    assert network.nodes
    for variant in network.document.variants:
        assert archdsl.loads(text, variant=variant).nodes
