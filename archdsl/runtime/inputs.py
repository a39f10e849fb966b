"""Random inputs of a network: the same seed gives the same values in every run that is compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from archdsl.backends.weights import Array
from archdsl.graph import Graph
from archdsl.shapes import concrete


def seeded_inputs(
    graph: Graph, batch: int = 2, seed: int = 0, sizes: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Draw every input of the network from a standard normal distribution, by path.

    `sizes` are the free sizes of the inputs, if they are not the default ones.
    """
    draw = np.random.default_rng(seed)
    return {
        graph.nodes[i].path: draw.standard_normal((batch, *concrete(graph.nodes[i].shape, sizes)), np.float32)
        for i in graph.inputs
    }


def input_text(graph: Graph, sizes: Mapping[str, int]) -> str:
    """Return the inputs in these sizes, in the notation of a spec."""
    texts = {graph.nodes[i].path: "x".join(map(str, concrete(graph.nodes[i].shape, sizes))) for i in graph.inputs}
    return next(iter(texts.values())) if len(texts) == 1 else ", ".join(f"{path}: {s}" for path, s in texts.items())
