"""Changes of a graph, collected and then applied together, to the ids and the tree of scopes as well."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

from archdsl.graph import AuxHead, Graph, Node, Scope


class Edit:
    """The changes of a graph's nodes; the graph itself stays unchanged.

    `nodes[id]` is the current node: its op, inputs and recipes may have been replaced. A bypassed node is replaced by
    another for its readers; a dropped node must have no readers.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = list(graph.nodes)
        self._instead: dict[int, int] = {}
        self._dropped: set[int] = set()

    def source(self, id: int) -> int:
        """Return the node that readers of `id` read."""
        while id in self._instead:
            id = self._instead[id]
        return id

    def bypass(self, id: int, instead: int) -> None:
        """Let all readers of the node, including outputs, read `instead`."""
        self._instead[id] = instead

    def drop(self, id: int) -> None:
        """Remove a node that has no readers."""
        self._dropped.add(id)

    def readers(self, id: int) -> list[Node]:
        """Return the current nodes that read the value of `id`, also through bypassed nodes."""
        readers: list[Node] = []
        pending = list(self.graph.consumers[id])
        while pending:
            reader = pending.pop()
            if reader in self._instead:
                pending += self.graph.consumers[reader]
            else:
                readers.append(self.nodes[reader])
        return readers

    @property
    def changed(self) -> bool:
        return bool(self._instead or self._dropped) or any(
            a is not b for a, b in zip(self.nodes, self.graph.nodes, strict=True)
        )

    def apply(self) -> Graph:
        """Return the changed graph, or the graph itself without changes. The ids of its nodes are contiguous."""
        graph = self.graph
        if not self.changed:
            return graph
        gone = self._dropped | self._instead.keys()
        places = [0, *accumulate(int(node.id not in gone) for node in self.nodes)]
        """For each id the number of kept nodes before it, which is its new id if it is kept."""
        root, scopes = _copied(graph.root, places)
        nodes: list[Node] = []
        for node in self.nodes:
            if node.id not in gone:
                inputs = tuple(places[self.source(i)] for i in node.inputs)
                shapes = tuple(nodes[i].shape for i in inputs)
                nodes.append(
                    replace(node, id=places[node.id], inputs=inputs, in_shapes=shapes, scope=scopes[node.scope])
                )
        return replace(
            graph,
            nodes=tuple(nodes),
            root=root,
            inputs=tuple(places[i] for i in graph.inputs),
            outputs={name: places[self.source(i)] for name, i in graph.outputs.items()},
            aux={
                n: AuxHead(places[self.source(a.node)], a.weight)
                for n, a in graph.aux.items()
                if self.source(a.node) not in gone
            },
        )


def _copied(root: Scope, places: list[int]) -> tuple[Scope, dict[Scope, Scope]]:
    """The tree of scopes of the kept nodes, and the copy of each scope."""
    copies: dict[Scope, Scope] = {}
    for scope in root.walk():
        parent = copies[scope.parent] if scope.parent is not None else None
        copies[scope] = replace(scope, parent=parent, members=[], first=places[scope.first], end=places[scope.end])
    for scope, copy in copies.items():
        for member in scope.members:
            if isinstance(member, Scope):
                if copies[member].first < copies[member].end:
                    copy.members.append(copies[member])
            elif places[member + 1] > places[member]:
                copy.members.append(places[member])
    return copies[root], copies


def sole_reader(graph: Graph, id: int) -> Node | None:
    """Return the only reader of `id`; None if it has several readers or its value leaves the network."""
    readers = graph.consumers[id]
    return graph.nodes[readers[0]] if len(readers) == 1 and id not in observed(graph) else None


def observed(graph: Graph) -> frozenset[int]:
    """Return the nodes whose values leave the network: outputs and auxiliary heads."""
    return frozenset((*graph.outputs.values(), *(head.node for head in graph.aux.values())))
