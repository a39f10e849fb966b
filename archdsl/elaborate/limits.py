"""Limits of the size and nesting of a network. `bound` checks them before any node is made, and the walk again."""

from __future__ import annotations

from archdsl.diagnostics import ArchError, error
from archdsl.language.syntax import SyntaxNode

MAX_NODES = 250_000
MAX_STEPS = 500_000
"""Syntax nodes that the count of nodes may visit."""
MAX_DEPTH = 60
"""Nesting of composites and block calls."""
MAX_ELEMENTS = 2**62
"""Elements of one node's output."""
MAX_PATH = 400
"""Characters of a node's path, which every node stores."""
MAX_MET = 64
"""Pairs of sizes that must be equal; with more pairs, the input size is pinned."""
MAX_ATTEMPTS = 8
"""Restarts that each pin one more input size; after them, all are pinned at once."""

MAX_TRIED = 20_000
"""The most nodes of a network that is elaborated again at other sizes, for the help of an error."""
OF_JOINS = frozenset({"E0405", "E0412", "E0413", "E0415"})
"""Errors of inputs that cannot be joined."""


def too_deep(syntax: SyntaxNode) -> ArchError:
    """Return E0316, at the first node that is nested deeper than `MAX_DEPTH`."""
    return error("E0316", f"blocks and composites are nested more than {MAX_DEPTH} levels deep", syntax.span)
