"""Print the classes of a network: `__init__`, children, `forward`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from archdsl.backends.torch import forward
from archdsl.backends.torch.class_arguments import ClassRef, Option, Slots, choose
from archdsl.backends.torch.constructors import Constructors
from archdsl.backends.torch.docstrings import shapes
from archdsl.backends.torch.layout import INDENT, WIDTH, Doc, Joined, SourceGroup, lay, wrap
from archdsl.backends.torch.naming import docstring, is_attribute, quoted
from archdsl.backends.torch.program import ModuleBlock, Program
from archdsl.backends.torch.repeats import compact
from archdsl.backends.torch.sharing import SharedClass, Sharing, is_activation
from archdsl.backends.torch.steps import Module, Parameter, Run
from archdsl.graph import Graph, Node
from archdsl.ops import Add
from archdsl.shapes import Dim, at

_WIDTH = WIDTH - len(f'{INDENT}""""""')
"""The columns for a text in the docstring of a class."""


class Classes:
    """Prints the classes that the blocks of a program share."""

    def __init__(self, graph: Graph, program: Program, sharing: Sharing) -> None:
        self.graph, self.program, self.sharing = graph, program, sharing
        self.constructors = Constructors(sharing)
        self.initialised = any(tensor.param.init.how in ("kaiming", "uniform") for tensor in graph.tensors)
        """Whether some tensor has a random initial value."""
        # Inner classes first: the arguments of an outer one depend on theirs.
        for shared in sharing.classes:
            self._choose(shared)

    def _choose(self, shared: SharedClass) -> None:
        slots = Slots()
        for name in shared.blocks[0].children:
            self.constructors.child([block.children[name] for block in shared.blocks], slots.text)
        if not shared.container:
            forward.statements(shared.blocks, slots.forward_text)
        scopes = [block.scope for block in shared.blocks]
        received = tuple(at(self.graph.nodes[block.inputs[0]].shape[0]) for block in shared.blocks)
        shared.options = choose(slots, scopes, received, self.sharing.taken, frozenset(shared.blocks[0].children))

    def class_text(self, shared: SharedClass) -> list[str]:
        """Return the lines of a class."""
        numbered = _numbered(shared)
        base = shared.container or ("nn.ModuleList" if numbered else "nn.Module")
        self.constructors.note(base)
        lines = [f"class {shared.name}({base}):", *docstring(self._about(shared), INDENT), "", *self._head(shared)]
        lines += self._listed(shared, numbered) if shared.container or numbered else [f"{INDENT * 2}super().__init__()"]
        lines += [] if shared.container else self._assigned(shared, numbered)
        lines += [f"{INDENT * 2}self.{attribute} = {name}" for name, attribute in shared.options.stored.items()]
        if shared is self.sharing.main and self.initialised:
            lines.append(f"{INDENT * 2}self.apply(init_weights)")
        return lines if shared.container else [*lines, "", *self._forward(shared, numbered)]

    def _listed(self, shared: SharedClass, numbered: bool) -> list[str]:
        """Return the lines of a container class: its children, in a list those with numbers, are arguments of the
        constructor."""
        names = [name for name in shared.blocks[0].children if not numbered or name.isdigit()]
        entries = tuple(self.constructors.entries(shared.blocks, shared.options.text, names))
        call = (
            SourceGroup("(", (SourceGroup("[", entries, "]", spread=True),), comma=False)
            if numbered
            else SourceGroup("(", entries, spread=True)
        )
        return lay("super().__init__", call, indent=INDENT * 2)

    def _assigned(self, shared: SharedClass, numbered: bool) -> list[str]:
        """Return the lines that assign the children of a class with a forward to attributes."""
        lines: list[str] = []
        contained: set[str] = set()
        for name, first in shared.blocks[0].children.items():
            if numbered and name.isdigit():
                continue
            container, _, inner = name.partition(".")
            if inner:  # a container is where its first child is, as the order of the keys requires
                lines += [] if container in contained else self._contained(shared, container)
                contained.add(container)
                continue
            child = self.constructors.child([block.children[name] for block in shared.blocks], shared.options.text)
            lines += _assign(name, child, isinstance(first, Parameter))
        return lines

    def _contained(self, shared: SharedClass, container: str) -> list[str]:
        """Return the lines for children with dotted names in a plain container, and parameters registered in it."""
        tree: Tree = {}
        lists = forward.module_lists(shared.blocks[0], numbered=False)
        after: list[str] = []
        for name, first in shared.blocks[0].children.items():
            if not name.startswith(f"{container}."):
                continue
            child = self.constructors.child([block.children[name] for block in shared.blocks], shared.options.text)
            *around, last = name.split(".")
            holder = tree
            for part in around:
                holder = cast("Tree", holder.setdefault(part, {}))
            if isinstance(first, Parameter):
                holder_text = forward.attribute(".".join(around), lists)
                after += lay(
                    "", SourceGroup(f"{holder_text}.register_parameter(", (quoted(last), child)), indent=INDENT * 2
                )
            else:
                holder[last] = child
        assigned = [line for name, inner in tree.items() for line in _assign(name, _container(inner), False)]
        return [*assigned, *after]

    def _head(self, shared: SharedClass) -> list[str]:
        items = [_declared(option) for option in shared.options.items]
        return lay("def __init__", SourceGroup("(", ("self", *items)), " -> None:", INDENT)

    def _about(self, shared: SharedClass) -> list[str]:
        """Return the lines of the class's docstring: the block's comment in the spec, and its shapes."""
        is_main = shared is self.sharing.main
        signature = shapes(self.graph, shared, len(self.program.outputs) if is_main else None)
        docs = {block.scope.doc.strip() for block in shared.blocks}
        doc = docs.pop() if len(docs) == 1 else ""
        if doc:
            return [*wrap(doc, _WIDTH), "", *wrap(f"{signature}.", _WIDTH)]
        title = self.graph.name if is_main else self._composite(shared.blocks[0])
        return wrap(f"{title}: {signature}." if title else f"{signature}.", _WIDTH)

    def _composite(self, block: ModuleBlock) -> str:
        """Return the name of the composite that a block is; empty for any other block."""
        merged = {type(self.graph.nodes[output].op) for step in block.steps for output in step.outputs}
        if block.scope.kind == "residual" and Add in merged:
            return "Residual block"
        return "Parallel branches" if block.scope.kind == "branches" else ""

    def _forward(self, shared: SharedClass, numbered: bool) -> list[str]:
        block = shared.blocks[0]
        nester = forward.Nester(
            block, {n: forward.module_role(c) for n, c in block.children.items() if isinstance(c, Module)}
        )
        items = nester.nest(forward.statements(shared.blocks, shared.options.forward_text))
        result = block.outputs[0] if len(block.outputs) == 1 else None
        is_main = shared is self.sharing.main
        namer = forward.Namer(block, items, self._value_names(block), self.sharing.taken, all_named=is_main)
        lines = namer.lines(result, forward.module_lists(block, numbered))
        arguments = [f"{namer.chosen[i]}: Tensor" for i in block.inputs]
        returns = self._return_type(shared)
        text = lay("def forward", SourceGroup("(", ("self", *arguments)), f" -> {returns}:", INDENT)
        text += self._size_checks(namer.chosen) if is_main else []
        for n, line in enumerate(lines):
            indent = INDENT * (3 if line.training else 2)
            if line.training and not (n and lines[n - 1].training):
                text.append(f"{INDENT * 2}if self.training:")
            before = "return " if line.targets == ("",) else f"{', '.join(line.targets)} = "
            text += lay(before, line.doc, indent=indent)
        if not lines or lines[-1].targets != ("",):
            text += self._return(shared, namer.chosen, bool(lines) and lines[-1].training)
        return text

    def _size_checks(self, names: Mapping[int, str]) -> list[str]:
        """Return the lines that reject inputs of other sizes. `torch._assert` stays in traced and exported programs."""
        lines = []
        for source, axis, size in sizes_in_pads(self.graph):
            condition = f"{names[source]}.shape[{axis}] == {size}"
            message = quoted(f"`pad=same` with a stride: this module is for {condition}")
            lines += lay("", SourceGroup("torch._assert(", (condition, message)), indent=INDENT * 2)
        return lines

    def _return(self, shared: SharedClass, value_names: Mapping[int, str], in_training: bool) -> list[str]:
        names = [value_names[output] for output in shared.blocks[0].outputs]
        if shared is not self.sharing.main:
            return lay(f"{INDENT * 2}return ", ", ".join(names))
        lines = []
        plain = len(self.program.outputs)
        if self.program.aux:
            if not in_training:
                lines.append(f"{INDENT * 2}if self.training:")
            lines += lay(
                "return ", SourceGroup(f"{self.sharing.main.name}TrainingOutputs(", tuple(names)), indent=INDENT * 3
            )
        if plain == 1:
            return [*lines, f"{INDENT * 2}return {names[0]}"]
        return [
            *lines,
            *lay("return ", SourceGroup(f"{self.sharing.main.name}Outputs(", tuple(names[:plain])), indent=INDENT * 2),
        ]

    def _return_type(self, shared: SharedClass) -> str:
        count = len(shared.blocks[0].outputs)
        if shared is not self.sharing.main:
            return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
        plain = "Tensor" if len(self.program.outputs) == 1 else f"{shared.name}Outputs"
        return f"{plain} | {shared.name}TrainingOutputs" if self.program.aux else plain

    def _value_names(self, block: ModuleBlock) -> dict[int, str]:
        """Return a name for each value of a forward, after its node or the child that computes it."""
        names = {source: _local_name(self.graph.nodes[source].path, block.scope.path) for source in block.inputs}
        for step in block.steps:
            for output in step.outputs:
                alone = isinstance(step.expr, Run) and len(step.outputs) == 1
                names[output] = _local_name(self.graph.nodes[output].path, block.scope.path, alone)
        return names


Tree: TypeAlias = "dict[str, Tree | Doc]"


def _container(inner: Tree | Doc) -> Doc:
    """Return a `ModuleList` if the names are its indices, else a `ModuleDict`."""
    if not isinstance(inner, dict):
        return inner
    items = {name: _container(item) for name, item in inner.items()}
    if forward.counts_up(list(items)):
        return SourceGroup(
            "nn.ModuleList(", (SourceGroup("[", tuple(compact(list(items.values()))), "]"),), comma=False
        )
    pairs = tuple(Joined((f"{quoted(name)}: ", item)) for name, item in items.items())
    return SourceGroup("nn.ModuleDict(", (SourceGroup("{", pairs, "}", spread=len(pairs) > 1),), comma=False)


def _assign(name: str, child: Doc, is_parameter: bool) -> list[str]:
    if is_attribute(name):
        return lay(f"self.{name} = ", child, indent=INDENT * 2)
    method = "register_parameter" if is_parameter else "add_module"
    return lay("", SourceGroup(f"self.{method}(", (quoted(name), child)), indent=INDENT * 2)


def _declared(option: Option) -> str:
    types: list[str] = []
    for value in option.column:
        annotation = _type_words(value)
        if annotation not in types:
            types.append(annotation)
    default = f" = {option.default!r}" if option.optional else ""
    return f"{option.name}: {' | '.join(types)}{default}"


def _type_words(value: object) -> str:
    if isinstance(value, ClassRef):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        inner = list(dict.fromkeys(map(_type_words, value)))
        if len(value) <= 4:
            return f"tuple[{', '.join(map(_type_words, value)) or '()'}]"
        return f"tuple[{' | '.join(inner)}, ...]"
    return "None" if value is None else type(value).__name__


def sizes_in_pads(graph: Graph) -> list[tuple[int, int, int]]:
    """Return the sizes that `pad=same` with a stride fixes: the id of an input, an axis counted from the batch, and
    the size."""
    if not any(_pads_by_size(node) for node in graph.nodes):
        return []
    pinned = {size.name for size in graph.sizes if size.pinned}
    return [
        (i, axis, at(size))
        for i in graph.inputs
        for axis, size in enumerate(graph.nodes[i].shape[1:], 2)
        if not isinstance(size, Dim) or size.symbol.name in pinned
    ]


def _pads_by_size(node: Node) -> bool:
    """Whether the padding of a node depends on the size of its input."""
    strides = getattr(node.op, "steps", None) or getattr(node.op, "stride", None) or ()
    return getattr(node.op, "pad", None) == "same" and any(stride > 1 for stride in strides)


def _numbered(shared: SharedClass) -> bool:
    """Whether the class should be a `ModuleList`: it has a forward, and its children are modules with numbers as
    names, and activations."""
    children = shared.blocks[0].children.items()
    named = [name for name, child in children if name.isdigit() or not is_activation(child)]
    modules = not any(isinstance(child, Parameter) for _, child in children)
    return not shared.container and modules and forward.counts_up(named)


def _local_name(path: str, around: str, alone: bool = True) -> str:
    """Return the name of a value within a scope: that of its node, or of the member of the scope that computes it."""
    inside = path[len(around) :].lstrip(".") if path.startswith(around) else path.rpartition(".")[2]
    base, _, op = inside.partition("/")
    if not base:
        return op.replace("slice", "part")
    parts = base.split(".")
    return parts[0] if alone else "_".join(parts)
