"""Figures that are computed only where they are asked for, because they cost time or need a measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.network import Network

DEMANDED: Mapping[str, Callable[[Network], float | None]] = {}
"""By the names of their columns. A function returns None where the network has no such figure."""
