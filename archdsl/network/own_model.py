"""The model, an ONNX file or a PyTorch module, that a network was read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from archdsl.backends.weights import Weights
    from archdsl.graph import Graph


class OwnModel(Protocol):
    """A model whose spec, imported or contained in it, defines the network."""

    @property
    def files(self) -> tuple[str, ...]: ...

    @property
    def carried(self) -> bool:
        """Whether it contains the spec."""

    @property
    def compared(self) -> bool:
        """Whether its outputs were compared with those of the network."""

    def compare_with(self, graph: Graph, weights: Weights) -> str:
        """Compare its outputs with those of another graph. Returns the reason if that is impossible; raises E0848."""

    def own_weights(self) -> Weights:
        """Return its weights after its outputs were compared with those of the network. Raises E0845 and E0848."""
