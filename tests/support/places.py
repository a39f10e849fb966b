"""Where things lie in a checkout."""

from __future__ import annotations

from pathlib import Path

import archdsl

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
PACKAGE = Path(archdsl.__file__).resolve().parent
SPECS, DOCS, TESTS = ROOT / "specs", ROOT / "docs", ROOT / "tests"
CAT = Path(__file__).parent / "data" / "cat.jpg"
"""A photograph; where it is from stands beside it."""
