"""How large a network and how deep its text may be. `bound` checks both before the first node is made, the walk again."""

from __future__ import annotations

from archdsl.diagnostics import ArchError, error
from archdsl.language.syntax import SyntaxNode

MAX_NODES = 250_000
MAX_STEPS = 500_000
"""Syntax nodes that counting the nodes may visit."""
MAX_DEPTH = 60
"""Nesting of composites and block calls."""
MAX_ELEMENTS = 2**62
"""Values of one node's output."""
MAX_PATH = 400
"""Characters of a node's path: every node holds its own."""
MAX_MET = 64
"""Pairs of sizes that may have to agree; with more of them the input's size is pinned."""
MAX_ATTEMPTS = 8
"""Elaborations that each pin one more input's size; then all are pinned at once."""


def too_deep(syntax: SyntaxNode) -> ArchError:
    """E0316, at the first node that is nested deeper than `MAX_DEPTH`."""
    return error("E0316", f"blocks and composites are nested more than {MAX_DEPTH} deep", syntax.span)
