"""Checks of what a network can do: that it is complete, and that options of its weights are valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from archdsl.diagnostics import Diagnostic, error
from archdsl.diagnostics.arguments import check_choice, check_flags, check_names, check_range, check_type, conflict
from archdsl.graph import Graph

if TYPE_CHECKING:
    from archdsl.backends.weights.layout import Reading, ReadingOptions

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


def check_weight_options(
    source: object, seed: int, reinit: Sequence[str], inflate: str | None = None, **reading: Unpack[ReadingOptions]
) -> Reading:
    """Check the options of a network's weights, and return how to read them.

    Raises E0001 for an unknown `inflate`, E0002 for the seed, E0003 for an option without `source`, E0004 for one of
    another type.
    """
    from archdsl.backends.weights.layout import Reading

    check_range("seed", seed, 0, MAX_SEED)
    check_names("reinit", reinit)
    options = Reading(**reading)
    check_names("rename", options.rename)
    check_names("ignore", options.ignore)
    check_type("part", options.part, "a name", str, type(None))
    check_flags(adapt_input=options.adapt_input)
    if inflate is not None:
        check_choice("inflate", inflate, INFLATE)
    if source is None:
        if reinit:
            raise conflict("`reinit` selects tensors of `weights`, which is not set", "set `weights`")
        if inflate is not None:
            raise conflict("`inflate` changes the filters of `weights`, which is not set", "set `weights`")
        if option := next((name for name, value in reading.items() if value), None):
            raise conflict(f"`{option}` says how to read `weights`, which is not set", "set `weights`")
    return options
