"""Verify a model that archdsl did not write: its weights are put into the network, and the outputs of both compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archdsl.backends.weights import Weights
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import conflict
from archdsl.differences.structure import aligned
from archdsl.network import Network, as_network
from archdsl.runtime.model import ModelFacts


def transferred(network: Network, facts: ModelFacts, weights: Any, input: str | Sequence[int] | None) -> Weights:
    """Return the weights of a model that archdsl did not write, for `network`; the outputs of both are compared.

    Raises E0003 for other `weights`, E0822 if the model is another network, E0823 if the outputs cannot be compared,
    E0848 if they differ.
    """
    if weights is not None:
        raise conflict(f"`weights` are those of `{facts.path.name}`, which is compared with the spec")
    own = network if network.model is not None else as_network(facts.path, None, input)
    assert own.model is not None
    alignment = aligned(own, network)
    if alignment is None:
        help = f"`archdsl diff SPEC {facts.path.name}` lists the differences"
        raise error("E0822", f"`{facts.path.name}` is another network than `{network.name}`", help=help)
    if alignment.level != "nodes":
        raise error(
            "E0823",
            f"cannot verify `{facts.path.name}`: norms are folded into its layers, so its weights do not fit the spec",
            help=f"verify its own network: `archdsl verify {facts.path.name}`",
        )
    values = own.model.own_weights()
    entries = {**network.weights({key: values[other] for key, other in alignment.tensors.items()}).entries}
    fitted = Weights(entries, values.source)
    reason = own.model.compare_with(network.graph, fitted)
    if reason:
        raise error("E0823", f"cannot verify `{facts.path.name}`: outputs not compared: {reason}")
    return fitted
