"""A graph as PyTorch modules: for every named scope its children and the statements of its forward. Plain data.

`module` builds and runs a program, `source` prints it; so the two cannot drift. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from archdsl.analysis.equal_scopes import Boundary, boundaries
from archdsl.backends.torch.lower import lower
from archdsl.backends.torch.naming import class_name
from archdsl.backends.torch.steps import (
    Argument,
    Call,
    Expr,
    Lowered,
    Module,
    Parameter,
    Run,
    Value,
    Weight,
    replace,
    values,
)
from archdsl.graph import Graph, Node, Scope
from archdsl.ops import Flatten, Input, Slice
from archdsl.shapes import at

Container: TypeAlias = Literal["", "nn.Sequential", "DenseBlock"]
Child: TypeAlias = "ModuleBlock | Module | Parameter"


@dataclass(frozen=True, slots=True)
class ForwardStep:
    """One statement of a forward: what it makes, and how. `training`: skipped at inference."""

    outputs: tuple[int, ...]
    expr: Expr
    training: bool = False


@dataclass(eq=False, slots=True)
class ModuleBlock:
    """A module with children: what its forward receives, does, and returns (values are ids of nodes).

    A child with a dotted name, `path1.conv`, lies in plain containers that run nothing themselves.

    With a `container` the children's order alone says what runs: each reads the one before (`nn.Sequential`), or all
    before it (`DenseBlock`).
    """

    scope: Scope
    title: str
    """What a class for it may be called."""
    children: dict[str, Child] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    steps: tuple[ForwardStep, ...] = ()
    container: Container = ""

    def walk(self) -> Iterator[ModuleBlock]:
        """This block and all below it, children first."""
        for child in self.children.values():
            if isinstance(child, ModuleBlock):
                yield from child.walk()
        yield self


@dataclass(frozen=True, slots=True)
class Program:
    """A network. `root.outputs` are those of `outputs`, in order, then those of the auxiliary heads `aux`."""

    name: str
    root: ModuleBlock
    outputs: tuple[str, ...]
    aux: tuple[str, ...]


def program(graph: Graph) -> Program:
    """The modules of a graph. A tensor's key is the path of children that leads to it, then its own name."""
    root, _ = _Builder(graph).block(graph.root)
    root.inputs = graph.inputs
    root.container = ""
    return Program(graph.name, root, tuple(graph.outputs), tuple(graph.aux))


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.crossing: dict[Scope, Boundary] = boundaries(graph)
        self.lowered: list[Lowered] = [lower(node.op, node.in_shapes) for node in graph.nodes]
        self.modules = self._module_scopes()
        self.flattened: set[int] = set()
        """Values that a flatten makes which stood elsewhere."""

    def _module_scopes(self) -> set[Scope]:
        """The named scopes that hold a module; one of functions alone (`split`) is written out where it stands."""
        found = {self.graph.root}
        for node, lowered in zip(self.graph.nodes, self.lowered, strict=True):
            scope: Scope | None = node.scope
            if node.shared_with or (lowered.parameter is None and (node.implied or lowered.module is None)):
                continue
            while scope is not None and scope not in found:
                found.add(scope)
                scope = scope.parent
        return {scope for scope in found if scope.name is not None or scope is self.graph.root}

    def _members(self, scope: Scope) -> Iterator[Scope | Node]:
        """The nodes and modules of a scope in written order, anonymous scopes spliced in."""
        stack: list[Scope | int] = list(reversed(scope.members))
        while stack:
            member = stack.pop()
            if isinstance(member, int):
                yield self.graph.nodes[member]
            elif member in self.modules:
                yield member
            else:
                stack += reversed(member.members)

    def block(self, scope: Scope) -> tuple[ModuleBlock, list[ForwardStep]]:
        """The block of a scope, and the steps that its caller takes before it."""
        block = ModuleBlock(scope, self._title(scope))
        apart = scope is not self.graph.root and self._training(scope)
        steps: list[ForwardStep] = []
        for member in self._members(scope):
            if isinstance(member, Scope):
                child, before = self.block(member)
                block.children[member.path[len(scope.path) :].lstrip(".")] = child
                run = Run(child.scope.name or "", tuple(map(Value, child.inputs)))
                new = [*before, ForwardStep(child.outputs, run)]
                training = self._training(member)
            elif isinstance(member.op, Input):
                continue
            else:
                new = [ForwardStep((member.id,), self._node(member, scope, block))]
                training = member.training
            steps += [ForwardStep(step.outputs, step.expr, training and not apart) for step in new]
        # What nobody reads is built, for its tensors, and not run: it gives its last value, and its caller leaves it
        # out.
        block.outputs = self._outputs(scope) or steps[-1].outputs[:1]
        steps = self._chunked(_read(steps, block.outputs))
        hoisted = [] if scope is self.graph.root else self._hoist(block, steps)
        block.steps = tuple(steps)
        block.inputs = _received(steps) if scope is not self.graph.root else ()
        block.container = _container(block)
        return block, hoisted

    def _outputs(self, scope: Scope) -> tuple[int, ...]:
        if scope is not self.graph.root:
            return self.crossing[scope].outputs
        return (*self.graph.outputs.values(), *(head.node for head in self.graph.aux.values()))

    def _title(self, scope: Scope) -> str:
        """After its block; a fused node after its ops; else after its key, or, of an index, after what it is."""
        if scope.block:
            return class_name(scope.block)
        if scope is self.graph.root:
            return class_name(self.graph.name)
        name = scope.name or ""
        kinds = [node.op.name for node in self.graph.nodes[scope.first : scope.end] if not isinstance(node.op, Flatten)]
        if scope.kind == "fused" or (name.isdigit() and len(kinds) <= 4):
            return "".join(map(class_name, kinds))
        return class_name(scope.kind if name.isdigit() else name)

    def _training(self, scope: Scope) -> bool:
        return all(node.training for node in self.graph.nodes[scope.first : scope.end])

    def _node(self, node: Node, scope: Scope, block: ModuleBlock) -> Expr:
        """The expression that runs a node; its module or parameter becomes a child of the block."""
        lowered = self.lowered[node.id]
        inputs = tuple(map(Value, node.inputs))
        name = node.path[len(scope.path) :].lstrip(".")
        if node.shared_with:
            return self._again(node, scope, inputs, block)
        if lowered.parameter is not None:
            block.children[name] = lowered.parameter
        elif lowered.module is not None and (not node.implied or lowered.call is None):
            name = name if not node.implied else _free_name(name, block)
            block.children[name] = lowered.module
            return Run(name, inputs)

        return _placed(lowered.call, inputs, Weight(name))

    def _again(self, node: Node, scope: Scope, inputs: tuple[Value, ...], block: ModuleBlock) -> Expr:
        """The expression that runs an earlier node's module once more, or reads its parameter: of a child, or inside
        one."""
        lowered, path = self.lowered[node.id], node.shared_with[len(scope.path) :].lstrip(".")
        child = next(name for name in block.children if f"{path}.".startswith(f"{name}."))
        inside = tuple(path[len(child) + 1 :].split(".")) if path != child else ()
        if lowered.parameter is not None:
            return _placed(lowered.call, inputs, Weight(child, inside))
        return Run(child, inputs, inside)

    def _chunked(self, steps: Sequence[ForwardStep]) -> list[ForwardStep]:
        """Neighbouring slices that cut a value into equal parts become one `torch.chunk`."""
        done: list[ForwardStep] = []
        for step in steps:
            done.append(step)
            (source, count) = self._ends_split(done)
            if count > 1:
                outputs = tuple(s.outputs[0] for s in done[-count:])
                done[-count:] = [ForwardStep(outputs, Call("torch.chunk", (Value(source), count, 1)), step.training)]
        return done

    def _ends_split(self, steps: Sequence[ForwardStep]) -> tuple[int, int]:
        """Which value the last steps have cut into how many equal parts; 0 parts if they have not."""
        last = self.graph.nodes[steps[-1].outputs[0]]
        if not isinstance(last.op, Slice) or len(steps[-1].outputs) != 1:
            return 0, 0
        (source,), channels, width = last.inputs, at(last.in_shapes[0][0]), at(last.shape[0])
        count = channels // width
        cuts = [self._cut(step) for step in steps[-count:]]
        return source, count if cuts == [(source, n * width, (n + 1) * width) for n in range(count)] else 0

    def _cut(self, step: ForwardStep) -> tuple[int, int, int] | None:
        """The source, start and end of a slice."""
        node = self.graph.nodes[step.outputs[0]]
        if len(step.outputs) != 1 or not isinstance(node.op, Slice):
            return None
        return node.inputs[0], node.op.start, node.op.start + at(node.shape[0])

    def _hoist(self, block: ModuleBlock, steps: list[ForwardStep]) -> list[ForwardStep]:
        """Leading flattens and concats, taken out of the block: its caller runs them.

        So the fully connected layers behind an implied flatten stay a plain chain, and all copies of a block are alike.
        """
        self._flatten_first(block, steps)
        count = 0
        while count < len(steps) - 1 and self._hoistable(steps[count]):
            count += 1
        if count:
            moved = steps[:count]
            del steps[:count]
            made = {output for step in moved for output in step.outputs}
            block.outputs = tuple(output for output in block.outputs if output not in made)
            return moved
        return []

    def _flatten_first(self, block: ModuleBlock, steps: list[ForwardStep]) -> None:
        """Moves a flatten to the front of leading dropouts: which values are dropped stays the same."""
        place = 0
        while place < len(steps) and self._is_dropout(block, steps[place]):
            place += 1
        if not 0 < place < len(steps) - 1 or not self._hoistable(steps[place]):
            return
        chain = steps[: place + 1]
        reads = [source for step in steps for source in values(step.expr)]
        between = [step.outputs[0] for step in chain[:-1]]
        if any(reads.count(value) > 1 or value in block.outputs for value in between):
            return
        flatten, dropouts = chain[-1].expr, chain[:-1]
        assert isinstance(flatten, Call)
        # The values keep their numbers in order; only what makes them changes.
        moved = [
            ForwardStep(
                chain[0].outputs, Call(flatten.target, (*map(Value, values(dropouts[0].expr)), *flatten.args[1:]))
            )
        ]
        for before, dropout, after in zip(chain, dropouts, chain[1:], strict=False):
            assert isinstance(dropout.expr, Run)
            moved.append(ForwardStep(after.outputs, Run(dropout.expr.child, tuple(map(Value, before.outputs)))))
        training = chain[0].training
        steps[: place + 1] = [ForwardStep(step.outputs, step.expr, training) for step in moved]
        self.flattened.update(output for step in moved for output in step.outputs)

    def _is_dropout(self, block: ModuleBlock, step: ForwardStep) -> bool:
        child = block.children.get(step.expr.child) if isinstance(step.expr, Run) else None
        return isinstance(child, Module) and child.target == "nn.Dropout"

    def _hoistable(self, step: ForwardStep) -> bool:
        node = self.graph.nodes[step.outputs[0]]
        called = step.expr.target if isinstance(step.expr, Call) else ""
        if called == "torch.flatten":
            return node.implied or step.outputs[0] in self.flattened
        return called == "torch.cat" and node.implied


def _placed(call: Expr, inputs: Sequence[Value], weight: Weight) -> Expr:
    """A lowered expression with what it reads in the place of its arguments."""

    def place(leaf: Argument | Value | Weight) -> Expr:
        return inputs[leaf.index] if isinstance(leaf, Argument) else weight if isinstance(leaf, Weight) else leaf

    return replace(call, place)


def _read(steps: Sequence[ForwardStep], outputs: Sequence[int]) -> list[ForwardStep]:
    """The steps without those that nothing reads, directly or in the end. Their modules stay: they hold tensors."""
    needed, kept = set(outputs), []
    for step in reversed(steps):
        if not needed.isdisjoint(step.outputs):
            needed.update(values(step.expr))
            kept.append(step)
    return kept[::-1]


def _received(steps: Sequence[ForwardStep]) -> tuple[int, ...]:
    """The values that steps read and do not make, in the order of their first use."""
    made = {output for step in steps for output in step.outputs}
    reads = (source for step in steps for source in values(step.expr))
    return tuple(dict.fromkeys(source for source in reads if source not in made))


def _free_name(name: str, block: ModuleBlock) -> str:
    """A child's name for an implied node that PyTorch has no function for: it holds no tensors, so it is no key."""
    name = name.replace("/", "_").strip("_")
    while name in block.children:
        name += "_"
    return name


def _container(block: ModuleBlock) -> Container:
    """Which container says the same as the block's steps, if one does."""
    if (
        len(block.inputs) != 1
        or any(step.training for step in block.steps)
        or any("." in name for name in block.children)
    ):
        return ""
    if _is_chain(block):
        return "nn.Sequential"
    return "DenseBlock" if _is_dense(block) else ""


def _is_chain(block: ModuleBlock) -> bool:
    given = block.inputs
    for name, step in zip(block.children, block.steps, strict=False):
        if step.expr != Run(name, tuple(map(Value, given))) or len(step.outputs) != 1:
            return False
        given = step.outputs
    return len(block.children) == len(block.steps) and block.outputs == given


def _is_dense(block: ModuleBlock) -> bool:
    given = block.inputs
    layers, joins = block.steps[::2], block.steps[1::2]
    for name, layer, join in zip(block.children, layers, joins, strict=False):
        both = (Value(given[0]), *map(Value, layer.outputs))
        if layer.expr != Run(name, tuple(map(Value, given))) or join.expr != Call("torch.cat", (both, 1)):
            return False
        given = join.outputs
    return len(block.children) == len(layers) == len(joins) and block.outputs == given
