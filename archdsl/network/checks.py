"""Checks of what a network can do: that it is complete, and that options of its weights are valid."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagnostics import Diagnostic, error
from archdsl.diagnostics.arguments import check_choice, check_names, check_range, conflict
from archdsl.graph import Graph

MAX_SEED = 2**63 - 1


def check_complete(graph: Graph, errors: Sequence[Diagnostic]) -> None:
    """Raise E0005 for the graph of a spec with errors, at its first unknown node."""
    if not errors:
        return
    count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
    first = graph.unknown[0] if graph.unknown else None
    lacks = f", so `{first.path}` is unknown" if first is not None else ""
    raise error(
        "E0005",
        f"`{graph.name}` is incomplete: its spec has {count}{lacks}",
        first.origin.span if first is not None else errors[0].span,
        help="correct the spec; `errors` of the network lists what is wrong",
    )


INFLATE = ("mean", "centre")
"""How filters get the axes that they lack: `archdsl/backends/weights/inflate.py`."""


def check_weight_options(source: object, seed: int, reinit: Sequence[str], inflate: str | None = None) -> None:
    """Check the options of a network's weights.

    Raises E0001 for an unknown `inflate`, E0002 for the seed, E0003 for `reinit` or `inflate` without `source`.
    """
    check_range("seed", seed, 0, MAX_SEED)
    check_names("reinit", reinit)
    if reinit and source is None:
        raise conflict("`reinit` selects tensors of `weights`, which is not set", "set `weights`")
    if inflate is not None:
        check_choice("inflate", inflate, INFLATE)
        if source is None:
            raise conflict("`inflate` changes the filters of `weights`, which is not set", "set `weights`")
