"""What stands in a scope, as it was written: a convolution, its norm and its activation are one part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archdsl.graph import Node, Scope
from archdsl.ops import Fc, Flatten, Input


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One written op: a node with the norm and activation fused to it, perhaps the flatten implied before it."""

    nodes: tuple[Node, ...]
    flatten: Node | None = None

    @property
    def main(self) -> Node:
        return self.nodes[0]

    def _local(self, path: str) -> list[tuple[str, str, Node]]:
        """Each node's name in the scope `path`, and its name below that: `conv1`, `bn`."""
        start = len(path) + 1 if path else 0
        found = []
        for node in self.nodes:
            if not node.implied:
                key = node.scope.path[start:] or node.path[start:]
                found.append((key, node.path[start + len(key) + 1 :], node))
        return found

    def names(self, path: str) -> tuple[str, ...]:
        """The names that it takes in the scope `path`: none if implied, `conv1` and `bn1`, or the key of both."""
        return tuple(dict.fromkeys(name for name, _, _ in self._local(path)))

    def inner(self, path: str) -> dict[str, int]:
        """The nodes below its key, by name: `conv`, `bn`."""
        return {below: node.id for _, below, node in self._local(path) if below}

    def numbered(self, path: str) -> bool:
        """Whether it is the item of a list."""
        return any(name.isdigit() for name in self.names(path))


def parts_of(scope: Scope, nodes: tuple[Node, ...]) -> list[Scope | Part]:
    """The named scopes and the written ops of a scope, those of its anonymous scopes among them."""
    parts: list[Scope | Part] = []
    together: list[Node] = []

    def close() -> None:
        if together:
            parts.append(_part(together))
            together.clear()

    for member in _members(scope):
        if isinstance(member, int):
            if together and not _continues(together[-1], nodes[member]):
                close()
            if not isinstance(nodes[member].op, Input):
                together.append(nodes[member])
            continue
        close()
        inside = [nodes[n] for n in _members(member) if isinstance(n, int)]
        parts.append(_part(inside) if member.kind == "fused" else member)
    close()
    return parts


def _members(scope: Scope) -> Iterator[Scope | int]:
    for member in scope.members:
        if isinstance(member, int):
            yield member
        elif member.name is None:
            yield from _members(member)
        elif member.first < member.end:
            yield member


def _continues(before: Node, node: Node) -> bool:
    """Whether a node is the norm or activation of the one before, or an `fc` behind its implied flatten."""
    if node.origin is not before.origin or node.inputs != (before.id,):
        return False
    return bool(node.op.role) or (isinstance(before.op, Flatten) and before.implied and isinstance(node.op, Fc))


def _part(nodes: list[Node]) -> Part:
    implied = len(nodes) > 1 and isinstance(nodes[0].op, Flatten) and isinstance(nodes[1].op, Fc)
    return Part(tuple(nodes[1:]), nodes[0]) if implied else Part(tuple(nodes))
