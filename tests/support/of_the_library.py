"""The networks of the library as parameters of tests: the first of each file always, its variants with `--all`."""

from __future__ import annotations

import pytest

from archdsl.spec.find import library_networks

_FIRST = {location.path: name for name, location in reversed([*library_networks().items()])}
NETWORKS = [
    pytest.param(name, marks=() if _FIRST[location.path] == name else pytest.mark.slow)
    for name, location in library_networks().items()
]
