"""Limits on the size of a spec."""

from __future__ import annotations

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 400_000
"""Keys and values with aliases expanded; a tree of this size takes about 250 MB."""
MAX_ALIASED = 10_000
"""Nodes that all aliases together may expand to."""
MAX_DIGITS = 100
