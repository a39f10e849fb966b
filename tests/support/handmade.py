"""Small graphs made by hand, node by node, for tests that need no spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archdsl.diagnostics import Origin, Source, Span
from archdsl.graph import AuxHead, FreeSize, Graph, Node, Scope
from archdsl.ops import Input
from archdsl.ops.base import Op
from archdsl.shapes import Shape

ORIGIN = Origin(Span(Source("hand.yaml", "net:\n"), 0, 3))


class Hand:
    """Collects nodes; each is named, and reads nodes by name."""

    def __init__(self, name: str = "hand") -> None:
        self.name = name
        self.root = Scope("", None, "net", ORIGIN)
        self.nodes: list[Node] = []
        self.ids: dict[str, int] = {}

    def put(self, path: str, op: Op, *inputs: str, training: bool = False) -> Shape:
        """Adds a node, which reads the one before it unless told otherwise, and gives its shape."""
        sources = [self.ids[name] for name in inputs] or [len(self.nodes) - 1]
        shapes = tuple(self.nodes[i].shape for i in sources)
        op = op.settle(shapes)
        return self._node(path, op, tuple(sources), shapes, op.infer(shapes), training)

    def input(self, path: str, shape: Shape) -> Shape:
        return self._node(path, Input(), (), (), shape, False)

    def _node(
        self, path: str, op: Op, sources: tuple[int, ...], shapes: tuple[Shape, ...], shape: Shape, training: bool
    ) -> Shape:
        self.ids[path] = len(self.nodes)
        self.nodes.append(Node(len(self.nodes), path, op, sources, shapes, shape, self.root, ORIGIN, training))
        self.root.members.append(len(self.nodes) - 1)
        return shape

    def graph(
        self,
        outputs: Mapping[str, str] | None = None,
        sizes: Sequence[FreeSize] = (),
        aux: Mapping[str, str] | None = None,
    ) -> Graph:
        """`outputs` and `aux` are names and the paths of their nodes; by default the last node is `output`."""
        named = outputs or {"output": self.nodes[-1].path}
        self.root.end = len(self.nodes)
        return Graph(
            self.name,
            tuple(self.nodes),
            tuple(node.id for node in self.nodes if isinstance(node.op, Input)),
            {name: self.ids[path] for name, path in named.items()},
            {name: AuxHead(self.ids[path], 0.3) for name, path in (aux or {}).items()},
            self.root,
            tuple(sizes),
        )


def chain(shape: Shape, *ops: Op, **more: object) -> Graph:
    """An input `x`, then the ops one after the other, named `n0`, `n1`, ..."""
    hand = Hand()
    hand.input("x", shape)
    for number, op in enumerate(ops):
        hand.put(f"n{number}", op)
    return hand.graph(**more)  # type: ignore[arg-type]
