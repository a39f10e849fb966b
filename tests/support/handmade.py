"""Small graphs built node by node, for tests that should not depend on the language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archdsl.diagnostics import Origin, Source, Span
from archdsl.graph import AuxHead, FreeSize, Graph, Node, Scope
from archdsl.ops import Input, Op
from archdsl.shapes import Shape

ORIGIN = Origin(Span(Source("hand.yaml", "net:\n"), 0, 3))


class Hand:
    """Collects nodes; `graph` returns the graph. A node reads other nodes by path or by id, by default the last one."""

    def __init__(self, *inputs: Shape, name: str = "hand") -> None:
        """One input is named `input`, several `input0`, `input1`, ..."""
        self.name = name
        self.root = Scope("", None, "net", ORIGIN)
        self.nodes: list[Node] = []
        self.ids: dict[str, int] = {}
        for number, shape in enumerate(inputs):
            self.input("input" if len(inputs) == 1 else f"input{number}", shape)

    def input(self, path: str, shape: Shape) -> int:
        """Adds an input and returns its id."""
        return self._append(path, Input(), (), shape, False)

    def put(self, path: str, op: Op, *inputs: str | int, training: bool = False) -> int:
        """Adds a node and returns its id."""
        sources = tuple(self._id(node) for node in inputs) or (len(self.nodes) - 1,)
        shapes = tuple(self.nodes[source].shape for source in sources)
        op = op.settle(shapes)
        return self._append(path, op, sources, op.infer(shapes), training)

    def add(self, op: Op, *inputs: str | int, training: bool = False) -> int:
        """Adds a node whose path is made from its id: `n3`."""
        return self.put(f"n{len(self.nodes)}", op, *inputs, training=training)

    def graph(
        self,
        outputs: Mapping[str, str | int] | None = None,
        sizes: Sequence[FreeSize] = (),
        aux: Mapping[str, str | int] | None = None,
    ) -> Graph:
        """`outputs` and `aux` map names to nodes. By default the last node is `output`."""
        self.root.end = len(self.nodes)
        return Graph(
            self.name,
            tuple(self.nodes),
            tuple(node.id for node in self.nodes if isinstance(node.op, Input)),
            {name: self._id(node) for name, node in (outputs or {"output": len(self.nodes) - 1}).items()},
            {name: AuxHead(self._id(node), 0.3) for name, node in (aux or {}).items()},
            self.root,
            tuple(sizes),
        )

    def _id(self, node: str | int) -> int:
        return self.ids[node] if isinstance(node, str) else node

    def _append(self, path: str, op: Op, sources: tuple[int, ...], shape: Shape, training: bool) -> int:
        shapes = tuple(self.nodes[source].shape for source in sources)
        node = Node(len(self.nodes), path, op, sources, shapes, shape, self.root, ORIGIN, training)
        self.ids[path] = node.id
        self.nodes.append(node)
        self.root.members.append(node.id)
        return node.id


def chain(shape: Shape, *ops: Op, **more: object) -> Graph:
    """An input `x`, then the ops one after the other, named `n0`, `n1`, ..."""
    hand = Hand()
    hand.input("x", shape)
    for number, op in enumerate(ops):
        hand.put(f"n{number}", op)
    return hand.graph(**more)  # type: ignore[arg-type]
