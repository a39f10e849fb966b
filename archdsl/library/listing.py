"""`archdsl.list`: the networks of the library."""

from __future__ import annotations

import builtins

from archdsl.spec.find import library_networks


def list() -> builtins.list[str]:
    """The names of all networks of the library, variants included, sorted."""
    return sorted(library_networks())
