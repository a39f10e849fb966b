"""A graph as PyTorch modules, as plain data: the children and the statements of `forward` for each named scope.

`module` builds and runs a program, and `source` prints it, so the two cannot differ. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, TypeAlias

from archdsl.analysis.equal_scopes import Boundary, boundaries
from archdsl.backends.torch.lower import lower
from archdsl.backends.torch.naming import class_name, identifier, unique
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
    """One statement of a forward: its outputs and its expression. `training`: skipped at inference."""

    outputs: tuple[int, ...]
    expr: Expr
    training: bool = False


@dataclass(eq=False, slots=True)
class ModuleBlock:
    """A module with children: the inputs, steps and outputs of its forward (values are ids of nodes).

    A child with a dotted name, `path1.conv`, is inside plain containers without a forward.

    With a `container`, the order of the children defines the forward: each reads the one before (`nn.Sequential`), or
    all before it (`DenseBlock`).
    """

    scope: Scope
    title: str
    """A name for its class."""
    children: dict[str, Child] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    steps: tuple[ForwardStep, ...] = ()
    container: Container = ""

    def walk(self) -> Iterator[ModuleBlock]:
        """Yield this block and all below it, children first."""
        for child in self.children.values():
            if isinstance(child, ModuleBlock):
                yield from child.walk()
        yield self


@dataclass(frozen=True, slots=True)
class Program:
    """A network. `root.outputs` are the values of `outputs`, in order, then those of the auxiliary heads `aux`."""

    name: str
    root: ModuleBlock
    outputs: tuple[str, ...]
    aux: tuple[str, ...]


def program(graph: Graph) -> Program:
    """Return the modules of a graph. A tensor's key is the path of children that leads to it, then its own name."""
    root, _ = _Builder(graph).block(graph.root)
    root.inputs = graph.inputs
    root.steps = _early(root.steps)
    root.container = ""
    return Program(graph.name, root, tuple(graph.outputs), tuple(graph.aux))


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.crossing: dict[Scope, Boundary] = boundaries(graph)
        self.lowered: list[Lowered] = [lower(node.op, node.in_shapes) for node in graph.nodes]
        self.modules = self._module_scopes()
        self.blocks: dict[Scope, tuple[ModuleBlock, list[ForwardStep]]] = {}
        """The blocks of scopes, with the steps that their callers run before them."""
        self.written: dict[ModuleBlock, set[str]] = {}
        """The names that the spec gives to the children of a block; others belong to implied nodes."""
        self.first_runs = {scope.path: scope for scope in graph.root.walk() if scope.name is not None}
        self.read_outside = self._read_outside()
        self.flattened: set[int] = set()
        """Values of a flatten that was moved."""

    def _module_scopes(self) -> set[Scope]:
        """Return the named scopes that contain a module; the others (`split`) become part of their parents."""
        scopes = {self.graph.root}
        for node, lowered in zip(self.graph.nodes, self.lowered, strict=True):
            scope: Scope | None = node.scope
            if (
                node.shared_with
                or node.home is not node.scope
                or (lowered.parameter is None and (node.implied or lowered.module is None))
            ):
                continue
            while scope is not None and scope not in scopes:
                scopes.add(scope)
                scope = scope.parent
        return {scope for scope in scopes if scope.name is not None or scope is self.graph.root}

    def _members(self, scope: Scope) -> Iterator[Scope | Node]:
        """Yield the nodes and modules of a scope in written order, with the members of anonymous scopes inserted."""
        stack: list[Scope | int] = list(reversed(scope.members))
        while stack:
            member = stack.pop()
            if isinstance(member, int):
                yield self.graph.nodes[member]
            elif member in self.modules or member.again:
                yield member
            else:
                stack += reversed(member.members)

    def block(self, scope: Scope) -> tuple[ModuleBlock, list[ForwardStep]]:
        """Return the block of a scope, and the steps that its caller runs before it."""
        block = ModuleBlock(scope, self._title(scope))
        self.written[block] = {_name_in(member, scope).partition(".")[0] for member in self._members(scope)}
        apart = scope is not self.graph.root and self._training(scope)
        steps: list[ForwardStep] = []
        for member in self._members(scope):
            if isinstance(member, Scope) and member.again:
                new = self._run_again(member, scope, block)
                training = self._training(member)
            elif isinstance(member, Scope):
                child, before = self.block(member)
                block.children[_name_in(member, scope)] = child
                run = Run(child.scope.name or "", tuple(map(Value, child.inputs)))
                new = [*before, ForwardStep(child.outputs, run)]
                training = self._training(member)
            elif isinstance(member.op, Input):
                continue
            else:
                new = [ForwardStep((member.id,), self._node(member, scope, block))]
                training = member.training
            steps += [ForwardStep(step.outputs, step.expr, training and not apart) for step in new]
        # A block that nobody reads is built for its tensors, but not run: it returns its last value, and its caller
        # leaves it out.
        block.outputs = self._outputs(scope) or steps[-1].outputs[:1]
        block.children = _listed(block.children, self.written[block])
        steps = self._chunked(_read(steps, block.outputs))
        hoisted = [] if scope is self.graph.root else self._hoist(block, steps)
        block.steps = tuple(steps)
        block.inputs = _inputs(steps) if scope is not self.graph.root else ()
        block.container = _container(block)
        self.blocks[scope] = block, hoisted
        return block, hoisted

    def _read_outside(self) -> dict[Scope, tuple[int, ...]]:
        """Return the outputs of each scope: also those that only a further run of it gives to others."""
        outputs = {scope: set(crossing.outputs) for scope, crossing in self.crossing.items()}
        for copy in self.graph.root.walk():
            if copy.again:
                first = self.first_runs[copy.again]
                for one, two in zip(first.walk(), copy.walk(), strict=True):
                    outputs[one].update(i - copy.first + first.first for i in self.crossing[two].outputs)
        return {scope: tuple(sorted(values)) for scope, values in outputs.items()}

    def _run_again(self, copy: Scope, scope: Scope, block: ModuleBlock) -> list[ForwardStep]:
        """Return the steps that call the module of an earlier scope once more."""
        first = self.first_runs[copy.again]
        earlier, before = self.blocks[first]
        nodes = self.graph.nodes
        moved = {i: i - first.first + copy.first for i in range(first.first, first.end)}
        for node in nodes[first.first : first.end]:
            moved |= {i: j for i, j in zip(node.inputs, nodes[moved[node.id]].inputs, strict=True) if i not in moved}

        def place(leaf: Argument | Value | Weight) -> Expr:
            return Value(moved[leaf.id]) if isinstance(leaf, Value) else leaf

        child, inside = self._inside(copy.again, scope, block)
        run = Run(child, tuple(Value(moved[i]) for i in earlier.inputs), inside)
        steps = [ForwardStep(tuple(moved[i] for i in step.outputs), replace(step.expr, place)) for step in before]
        return [*steps, ForwardStep(tuple(moved[i] for i in earlier.outputs), run)]

    def _inside(self, path: str, scope: Scope, block: ModuleBlock) -> tuple[str, tuple[str, ...]]:
        """Return the child of a block that has the module at a path, and the names that lead to it inside the child."""
        path = path[len(scope.path) :].lstrip(".")
        child = next(name for name in block.children if f"{path}.".startswith(f"{name}."))
        return child, tuple(path[len(child) + 1 :].split(".")) if path != child else ()

    def _outputs(self, scope: Scope) -> tuple[int, ...]:
        if scope is not self.graph.root:
            return self.read_outside[scope]
        return (*self.graph.outputs.values(), *(head.node for head in self.graph.aux.values()))

    def _title(self, scope: Scope) -> str:
        """Return a class name: after the block, the ops of a fused node, the key, or for an index the kind of scope."""
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
        """Return the expression that runs a node. Its module or parameter becomes a child of the block."""
        lowered = self.lowered[node.id]
        inputs = tuple(map(Value, node.inputs))
        name = _name_in(node, scope)
        if node.shared_with:
            return self._again(node, scope, inputs, block)
        if lowered.parameter is not None:
            block.children[name] = lowered.parameter
        elif lowered.module is not None and (not node.implied or lowered.call is None):
            name = unique(_word(name), {*self.written[block], *block.children}, "_") if node.implied else name
            block.children[name] = lowered.module
            return Run(name, inputs)

        return _with_inputs(lowered.call, inputs, Weight(name))

    def _again(self, node: Node, scope: Scope, inputs: tuple[Value, ...], block: ModuleBlock) -> Expr:
        """Return the expression that runs an earlier node's module again, or reads its parameter, in a child."""
        lowered = self.lowered[node.id]
        child, inside = self._inside(node.shared_with, scope, block)
        if lowered.parameter is not None:
            return _with_inputs(lowered.call, inputs, Weight(child, inside))
        return Run(child, inputs, inside)

    def _chunked(self, steps: Sequence[ForwardStep]) -> list[ForwardStep]:
        """Merge neighbouring slices that cut a value into equal parts into one `torch.chunk`."""
        done: list[ForwardStep] = []
        for step in steps:
            done.append(step)
            (source, count) = self._ends_split(done)
            if count > 1:
                outputs = tuple(s.outputs[0] for s in done[-count:])
                done[-count:] = [ForwardStep(outputs, Call("torch.chunk", (Value(source), count, 1)), step.training)]
        return done

    def _ends_split(self, steps: Sequence[ForwardStep]) -> tuple[int, int]:
        """Return the value that the last steps cut into equal parts, and the number of parts; 0 parts if none."""
        last = self.graph.nodes[steps[-1].outputs[0]]
        if not isinstance(last.op, Slice) or len(steps[-1].outputs) != 1:
            return 0, 0
        (source,), channels, width = last.inputs, at(last.in_shapes[0][0]), at(last.shape[0])
        count = channels // width
        cuts = [self._cut(step) for step in steps[-count:]]
        return source, count if cuts == [(source, n * width, (n + 1) * width) for n in range(count)] else 0

    def _cut(self, step: ForwardStep) -> tuple[int, int, int] | None:
        """Return the source, start and end of a slice."""
        node = self.graph.nodes[step.outputs[0]]
        if len(step.outputs) != 1 or not isinstance(node.op, Slice):
            return None
        return node.inputs[0], node.op.start, node.op.start + at(node.shape[0])

    def _hoist(self, block: ModuleBlock, steps: list[ForwardStep]) -> list[ForwardStep]:
        """Move leading flattens and concats out of the block: its caller runs them.

        Fully connected layers after an implied flatten stay a plain chain, and all copies of a block are equal.
        """
        self._flatten_first(block, steps)
        count = 0
        while count < len(steps) - 1 and self._hoistable(steps[count]):
            count += 1
        if count:
            moved = steps[:count]
            del steps[:count]
            outside = {output for step in moved for output in step.outputs}
            block.outputs = tuple(output for output in block.outputs if output not in outside)
            return moved
        return []

    def _flatten_first(self, block: ModuleBlock, steps: list[ForwardStep]) -> None:
        """Move a flatten before the chain of dropouts that leads to it, which does not change the values dropped."""
        place = 0
        while place < len(steps) and self._is_dropout(block, steps[place]):
            place += 1
        if not 0 < place < len(steps) - 1 or not self._is_flatten(steps[place]):
            return
        chain = steps[: place + 1]
        if any(values(after.expr) != before.outputs for before, after in pairwise(chain)):
            return
        reads = [source for step in steps for source in values(step.expr)]
        between = [step.outputs[0] for step in chain[:-1]]
        if any(reads.count(value) > 1 or value in block.outputs for value in between):
            return
        flatten, dropouts = chain[-1].expr, chain[:-1]
        assert isinstance(flatten, Call)
        # The values keep their ids in order; only the steps that compute them change.
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

    def _is_flatten(self, step: ForwardStep) -> bool:
        """Whether the step is an implied flatten, or one that was moved before dropouts."""
        called = step.expr.target if isinstance(step.expr, Call) else ""
        implied = self.graph.nodes[step.outputs[0]].implied or step.outputs[0] in self.flattened
        return called == "torch.flatten" and implied

    def _hoistable(self, step: ForwardStep) -> bool:
        joins = isinstance(step.expr, Call) and step.expr.target == "torch.cat"
        return self._is_flatten(step) or (joins and self.graph.nodes[step.outputs[0]].implied)


def _with_inputs(call: Expr, inputs: Sequence[Value], weight: Weight) -> Expr:
    """Return a lowered expression with its arguments replaced by the values that it reads."""

    def place(leaf: Argument | Value | Weight) -> Expr:
        return inputs[leaf.index] if isinstance(leaf, Argument) else weight if isinstance(leaf, Weight) else leaf

    return replace(call, place)


def _read(steps: Sequence[ForwardStep], outputs: Sequence[int]) -> list[ForwardStep]:
    """Return the steps that an output depends on. The modules of the others stay, because they contain tensors."""
    needed, kept = set(outputs), []
    for step in reversed(steps):
        if not needed.isdisjoint(step.outputs):
            needed.update(values(step.expr))
            kept.append(step)
    return kept[::-1]


def _early(steps: Sequence[ForwardStep]) -> tuple[ForwardStep, ...]:
    """Return the steps with each auxiliary head behind its input: its backward pass then begins when that of the layers
    after it has freed their activations."""
    order = [step for step in steps if not step.training]
    for head in (step for step in steps if step.training):
        reads = set(values(head.expr))
        place = max((n for n, step in enumerate(order, 1) if not reads.isdisjoint(step.outputs)), default=0)
        while place < len(order) and order[place].training:
            place += 1
        order.insert(place, head)
    return tuple(order)


def _inputs(steps: Sequence[ForwardStep]) -> tuple[int, ...]:
    """Return the values that steps read and do not compute, in the order of their first use."""
    computed = {output for step in steps for output in step.outputs}
    reads = (source for step in steps for source in values(step.expr))
    return tuple(dict.fromkeys(source for source in reads if source not in computed))


def _name_in(member: Scope | Node, scope: Scope) -> str:
    """Return the path of a member relative to its scope."""
    return member.path[len(scope.path) :].lstrip(".")


def _word(name: str) -> str:
    """Return the child's name of an implied node: `/relu` -> `relu`, `conv1/relu` -> `conv1_relu`, `0/relu` ->
    `relu_0`.

    The node has no tensors, so no key contains it.
    """
    place, _, op = name.partition("/")
    return identifier("_".join(filter(None, (op, place) if place[:1].isdigit() else (place, op))))


def _listed(children: Mapping[str, Child], written: Set[str]) -> dict[str, Child]:
    """Return the children of a block; in a list, the modules of implied nodes are last, so that indices stay those of
    the spec."""
    if not any(name.isdigit() for name in written):
        return dict(children)
    return dict(sorted(children.items(), key=lambda item: item[0].partition(".")[0] not in written))


def _container(block: ModuleBlock) -> Container:
    """Return the container with the same forward as the block's steps, if there is one."""
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
    inputs = block.inputs
    for name, step in zip(block.children, block.steps, strict=False):
        if step.expr != Run(name, tuple(map(Value, inputs))) or len(step.outputs) != 1:
            return False
        inputs = step.outputs
    return len(block.children) == len(block.steps) and block.outputs == inputs


def _is_dense(block: ModuleBlock) -> bool:
    inputs = block.inputs
    layers, joins = block.steps[::2], block.steps[1::2]
    for name, layer, join in zip(block.children, layers, joins, strict=False):
        both = (Value(inputs[0]), *map(Value, layer.outputs))
        if layer.expr != Run(name, tuple(map(Value, inputs))) or join.expr != Call("torch.cat", (both, 1)):
            return False
        inputs = join.outputs
    return len(block.children) == len(layers) == len(joins) and block.outputs == inputs
