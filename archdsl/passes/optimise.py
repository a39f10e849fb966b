"""The passes that make a network smaller for inference, by name and in order; each can be skipped.

The resulting graph is for inference only: its folded tensors are recipes, which `archdsl.backends.weights.evaluate`
evaluates. Its outputs equal those of the original graph up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from archdsl.diagnostics.arguments import check_choice, check_names
from archdsl.graph import Graph
from archdsl.passes.drop import drop_dead, drop_identities, drop_training
from archdsl.passes.fold_norms import fold_after, fold_before, standardize
from archdsl.passes.fuse import fuse_gates, global_pools, merge_concats, merge_pads

Pass: TypeAlias = Callable[[Graph], Graph]

PASSES: Mapping[str, Pass] = {
    "drop-training": drop_training,
    "drop-identities": drop_identities,
    "drop-dead": drop_dead,
    "merge-pads": merge_pads,
    "merge-concats": merge_concats,
    "standardize": standardize,
    "fold-after": fold_after,
    "fold-before": fold_before,
    "fuse-gates": fuse_gates,
    "global-pools": global_pools,
}
"""In order of execution. Removals come first, so that no removed node separates two nodes that a later pass merges.
Pads are merged before norms are folded."""


def check_passes(names: Collection[str]) -> None:
    """Raise E0001 (status 2) for an unknown pass, E0004 if `names` is not a list of names."""
    check_names("passes", names)
    for name in names:
        check_choice("passes", name, PASSES)


def passes_without(disabled: Collection[str]) -> tuple[str, ...]:
    """Return the names of all passes except `disabled`. Raises E0001 and E0004 as `check_passes`."""
    check_passes(disabled)
    return tuple(name for name in PASSES if name not in disabled)


def optimise(graph: Graph, passes: Collection[str] = tuple(PASSES)) -> Graph:
    """Run the passes with these names in the order of `PASSES`. Raises E0001 and E0004 as `check_passes`."""
    check_passes(passes)
    for name, function in PASSES.items():
        if name in passes:
            graph = function(graph)
    return graph
