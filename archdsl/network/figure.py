"""A figure of several networks, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_type
from archdsl.network.drawable import Drawable
from archdsl.network.network import Network
from archdsl.network.open import AnyPath, as_network
from archdsl.spec.patterns import expanded


class Figure(Drawable):
    """Several networks that are drawn side by side, with the labels (a), (b), ... and a caption."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def __repr__(self) -> str:
        return f"<Figure {', '.join(network.name for network in self.networks)}>"

    @property
    def networks(self) -> tuple[Network, ...]:
        return self._networks

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(file for network in self.networks for file in network.files)


def figure(networks: Sequence[AnyPath | Network]) -> Figure:
    """Return the figure of several networks: paths, names, or networks.

    Its `diagram` and `save_diagram` are those of a network; `focus` is one path for all, or a list with one for each.
    Raises as `load` does, E0004 if `networks` is not a list, E0005 for an incomplete network, E0726 for an empty list.
    """
    check_type("networks", networks, "a list of networks", list, tuple)
    if not networks:
        raise error("E0726", "a figure needs at least one network", status=2)
    return Figure([as_network(network) for network in expanded(networks)])
