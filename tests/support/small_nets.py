"""Small graphs built by hand, for tests of passes and views that should not depend on the language."""

from __future__ import annotations

from archdsl.diagnostics import Origin, Source, Span
from archdsl.graph import AuxHead, Graph, Node, Scope
from archdsl.ops import Input, Op
from archdsl.shapes import Shape

SOURCE = Source("handmade.yaml", "written by hand\n")
ORIGIN = Origin(Span(SOURCE, 0, 7))


class Net:
    """Adds nodes one behind the other; `graph` closes it. Every node has its own id as its path unless named."""

    def __init__(self, *inputs: Shape) -> None:
        self.root = Scope("", None, "net", ORIGIN)
        self.nodes: list[Node] = []
        for number, shape in enumerate(inputs):
            self._append(Input(), (), shape, "input" if len(inputs) == 1 else f"input{number}", False)
        self.inputs = tuple(range(len(inputs)))

    def add(self, op: Op, *inputs: int, path: str = "", training: bool = False) -> int:
        """The id of a new node that reads `inputs`, by default the node before it."""
        read = inputs or (len(self.nodes) - 1,)
        shapes = [self.nodes[i].shape for i in read]
        op = op.settle(shapes)
        return self._append(op, read, op.infer(shapes), path or f"n{len(self.nodes)}", training)

    def _append(self, op: Op, inputs: tuple[int, ...], shape: Shape, path: str, training: bool) -> int:
        in_shapes = tuple(self.nodes[i].shape for i in inputs)
        node = Node(len(self.nodes), path, op, inputs, in_shapes, shape, self.root, ORIGIN, training)
        self.nodes.append(node)
        self.root.members.append(node.id)
        return node.id

    def graph(self, *outputs: int, name: str = "handmade", aux: int | None = None) -> Graph:
        """The graph; without `outputs` its last node is the output."""
        self.root.end = len(self.nodes)
        given = outputs or (len(self.nodes) - 1,)
        return Graph(
            name=name,
            nodes=tuple(self.nodes),
            inputs=self.inputs,
            outputs={f"output{n}" if n else "output": node for n, node in enumerate(given)},
            aux={} if aux is None else {"aux": AuxHead(aux, 0.3)},
            root=self.root,
            sizes=(),
        )
