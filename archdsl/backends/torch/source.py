"""A graph as a Python file that imports only torch. Imports no torch itself.

The file is printed from the same program that `module` runs: classes shared by `sharing`, their arguments chosen by
`options`, their statements by `forward`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources

from archdsl.backends.torch import forward
from archdsl.backends.torch.layout import INDENT, WIDTH, Doc, Group, lay
from archdsl.backends.torch.lower import BARE, SIGNATURES, Signature
from archdsl.backends.torch.naming import docstring, field_names, is_attribute, quoted
from archdsl.backends.torch.options import ClassRef, Column, Option, Slots, Use, choose
from archdsl.backends.torch.program import Block, Child, Program, program
from archdsl.backends.torch.repeats import compact, compact_named
from archdsl.backends.torch.sharing import SharedClass, Sharing
from archdsl.backends.torch.steps import Module, Parameter, Run
from archdsl.backends.torch.words import shape_words, shapes
from archdsl.graph import Graph
from archdsl.ops import Add
from archdsl.passes.count import count
from archdsl.shapes import at, concrete

Text = Callable[[Use, Column], str]


def to_source(graph: Graph, *, paper: str = "", fingerprint: str = "") -> str:
    """The network as a Python module: one class per block, the network's class, `build()`, and a run of it as a script.

    With the same weights it computes bit for bit what `to_torch` computes; the keys of its state_dict are the same.
    """
    text = _Printer(graph).file(paper, fingerprint)
    ast.parse(text)  # what is handed out is Python, whatever the spec's names are
    return text


class _Printer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program: Program = program(graph)
        self.sharing = Sharing(self.program, frozenset(_layers()) | {"init_weights", "build"})
        self.main = self.sharing.classes[-1]
        self.layers: set[str] = set()
        self.taken = {*self.sharing.taken}
        for shared in self.sharing.classes:
            self._choose(shared)

    # --- the arguments of the classes --------------------------------------------------------------------

    def _choose(self, shared: SharedClass) -> None:
        slots = Slots()
        for name in shared.blocks[0].children:
            self._child([block.children[name] for block in shared.blocks], slots.text)
        if not shared.container:
            forward.statements(shared.blocks, slots.forward_text)
        scopes = [block.scope for block in shared.blocks]
        received = tuple(at(self.graph.nodes[block.inputs[0]].shape[0]) for block in shared.blocks)
        shared.options = choose(slots, scopes, received, self.taken, frozenset(shared.blocks[0].children))

    # --- constructors ------------------------------------------------------------------------------------

    def _child(self, rows: Sequence[Child], text: Text) -> Doc:
        """The constructor of a child, that is rows[n] in the n-th of the blocks that share the class."""
        first = rows[0]
        if isinstance(first, Block):
            blocks = [row for row in rows if isinstance(row, Block)]
            shared = self.sharing.of(first)
            return self._container(blocks, text) if shared is None else self._call(shared, blocks, text)
        if isinstance(first, Parameter):
            return _parameter([row for row in rows if isinstance(row, Parameter)], text)
        return self._leaf([row for row in rows if isinstance(row, Module)], text)

    def _call(self, shared: SharedClass, blocks: Sequence[Block], text: Text) -> Doc:
        items: list[Doc] = []
        for option in shared.options.items:
            column = tuple(option.column[shared.rows[block]] for block in blocks)
            if not option.optional:
                items.append(text(option.use, column))
            elif any(value != option.default for value in column):
                items.append(f"{option.name}={text(option.use, column)}")
        return Group(f"{shared.name}(", tuple(items))

    def _leaf(self, rows: Sequence[Module], text: Text) -> Doc:
        first = rows[0]
        if first.target in BARE:
            return f"{text(Use('activation', 'activation'), tuple(ClassRef(row.target) for row in rows))}()"
        self._note(first.target)
        signature = SIGNATURES.get(first.target, Signature(0))
        columns = {name: tuple(row.arguments[n][1] for row in rows) for n, (name, _) in enumerate(first.arguments)}
        if "Pool" in first.target and columns.get("stride") == columns.get("kernel_size"):
            columns.pop("stride", None)
        items: list[Doc] = []
        for position, (name, column) in enumerate(columns.items()):
            if name in signature.defaults and all(repr(v) == repr(signature.defaults[name]) for v in column):
                continue
            written = text(Use(name, name), column)
            items.append(written if position < signature.positional else f"{name}={written}")
        return Group(f"{first.target}(", tuple(items))

    def _note(self, target: str) -> None:
        if "." not in target:
            self.layers.add(target)

    def _container(self, blocks: Sequence[Block], text: Text) -> Doc:
        """A container written in place."""
        self._note(blocks[0].container)
        return Group(f"{blocks[0].container}(", tuple(self._entries(blocks, text)), spread=len(blocks[0].children) > 1)

    def _entries(self, blocks: Sequence[Block], text: Text) -> list[Doc]:
        """What a container's constructor receives: its children, or a dictionary of those that have names."""
        names = list(blocks[0].children)
        docs = [self._child([block.children[name] for block in blocks], text) for name in names]
        if names == [str(n) for n in range(len(names))]:
            return compact(docs)
        pairs = tuple(compact_named(names, docs))
        if len(pairs) == 1 and isinstance(pairs[0], str):
            return [Group("OrderedDict(", (pairs[0].removeprefix("*[").removesuffix("]"),), comma=False)]
        return [Group("OrderedDict(", (Group("[", pairs, "]", spread=len(pairs) > 1),), comma=False)]

    # --- classes -----------------------------------------------------------------------------------------

    def class_text(self, shared: SharedClass) -> list[str]:
        """The lines of a class."""
        first = shared.blocks[0]
        numbered = _numbered(shared)
        base = shared.container or ("nn.ModuleList" if numbered else "nn.Module")
        self._note(base)
        lines = [f"class {shared.name}({base}):", *docstring([self._about(shared)], INDENT), ""]
        lines += [*self._head(shared), f"{INDENT * 2}{'super().__init__()'}"]
        if shared.container or numbered:
            lines.pop()
            entries = tuple(self._entries(shared.blocks, shared.options.text))
            inner: Doc = Group("[", entries, "]", spread=True) if numbered else ""
            items = (inner,) if numbered else entries
            lines += lay(
                "super().__init__", Group("(", items, spread=not numbered, comma=not numbered), indent=INDENT * 2
            )
        else:
            for name in first.children:
                child = self._child([block.children[name] for block in shared.blocks], shared.options.text)
                lines += _assign(name, child, isinstance(first.children[name], Parameter))
        lines += [f"{INDENT * 2}self.{attr} = {name}" for name, attr in shared.options.stored.items()]
        if shared is self.main and self._initialised():
            lines.append(f"{INDENT * 2}self.apply(init_weights)")
        return lines if shared.container else [*lines, "", *self._forward(shared, numbered)]

    def _head(self, shared: SharedClass) -> list[str]:
        items = [_declared(option) for option in shared.options.items]
        return lay("def __init__", Group("(", ("self", *items)), " -> None:", INDENT)

    def _about(self, shared: SharedClass) -> str:
        """One line: what the spec says of it, and what it makes of which shape."""
        docs = {block.scope.doc for block in shared.blocks}
        said = docs.pop() if len(docs) == 1 else ""
        word = said.strip().rstrip(".") or self._kind_words(shared.blocks[0])
        made = shapes(self.graph, shared, len(self.program.outputs) if shared is self.main else None)
        if shared is self.main:
            word = self.graph.name
        return f"{word}: {made}." if word else f"{made}."

    def _kind_words(self, block: Block) -> str:
        """What kind of composite a block is."""
        merged = {type(self.graph.nodes[output].op) for step in block.steps for output in step.outputs}
        if block.scope.kind == "residual" and Add in merged:
            return "Residual block"
        return "Parallel branches" if block.scope.kind == "branches" else ""

    def _forward(self, shared: SharedClass, numbered: bool) -> list[str]:
        block = shared.blocks[0]
        folder = forward.Folder(
            block, {n: forward.leaf_kind(c) for n, c in block.children.items() if isinstance(c, Module)}
        )
        items = folder.fold(forward.statements(shared.blocks, shared.options.forward_text))
        result = block.outputs[0] if len(block.outputs) == 1 else None
        is_main = shared is self.main
        namer = forward.Namer(block, items, self._value_names(block), self.taken, all_named=is_main)
        lines = namer.lines(result, numbered)
        received = [f"{namer.given[i]}: Tensor" for i in block.inputs]
        gives = self._given_type(shared)
        text = lay("def forward", Group("(", ("self", *received)), f" -> {gives}:", INDENT)
        for n, line in enumerate(lines):
            indent = INDENT * (3 if line.training else 2)
            if line.training and not (n and lines[n - 1].training):
                text.append(f"{INDENT * 2}if self.training:")
            before = "return " if line.targets == ("",) else f"{', '.join(line.targets)} = "
            text += lay(before, line.doc, indent=indent)
        if not lines or lines[-1].targets != ("",):
            text += self._return(shared, namer.given, bool(lines) and lines[-1].training)
        return text

    def _return(self, shared: SharedClass, given: Mapping[int, str], in_training: bool) -> list[str]:
        names = [given[output] for output in shared.blocks[0].outputs]
        if shared is not self.main:
            return lay(f"{INDENT * 2}return ", ", ".join(names))
        lines = []
        plain = len(self.program.outputs)
        if self.program.aux:
            if not in_training:
                lines.append(f"{INDENT * 2}if self.training:")
            lines += lay("return ", Group(f"{self.main.name}TrainingOutputs(", tuple(names)), indent=INDENT * 3)
        if plain == 1:
            return [*lines, f"{INDENT * 2}return {names[0]}"]
        return [*lines, *lay("return ", Group(f"{self.main.name}Outputs(", tuple(names[:plain])), indent=INDENT * 2)]

    def _given_type(self, shared: SharedClass) -> str:
        count = len(shared.blocks[0].outputs)
        if shared is not self.main:
            return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"
        plain = "Tensor" if len(self.program.outputs) == 1 else f"{shared.name}Outputs"
        return f"{plain} | {shared.name}TrainingOutputs" if self.program.aux else plain

    def _value_names(self, block: Block) -> dict[int, str]:
        """What each value of a forward may be called: after its node, or the child that made it."""
        names = {source: _local_name(self.graph.nodes[source].path, block.scope.path) for source in block.inputs}
        for step in block.steps:
            for output in step.outputs:
                alone = isinstance(step.expr, Run) and len(step.outputs) == 1
                names[output] = _local_name(self.graph.nodes[output].path, block.scope.path, alone)
        return names

    # --- the file ----------------------------------------------------------------------------------------

    def file(self, paper: str, fingerprint: str) -> str:
        classes = [self.class_text(shared) for shared in self.sharing.classes]
        helpers = [_layers()[name] for name in _layers() if name in self.layers]
        if self._initialised():
            helpers.append(_layers()["init_weights"])
        body = [
            *helpers,
            *("\n".join(lines) for lines in classes[:-1]),
            *self._output_classes(),
            "\n".join(classes[-1]),
            self._build(),
            self._script(),
        ]
        text = "\n\n\n".join(body) + "\n"
        head = "\n".join(docstring(self._header(paper, fingerprint)))
        return f"{head}\n\n{_imports(text)}\n\n\n{text}"

    def _initialised(self) -> bool:
        return any(tensor.param.init.how in ("kaiming", "uniform") for tensor in self.graph.tensors)

    def _header(self, paper: str, fingerprint: str) -> list[str]:
        totals = count(self.graph)
        lines = [f"{self.graph.name} in PyTorch.", ""]
        lines += [*_wrap(f"{paper}."), ""] if paper else []
        facts = f"Input {self._input_words()}; {totals.params:,} parameters"
        facts += f" ({totals.aux_params:,} more in auxiliary heads)" if totals.aux_params else ""
        lines += _wrap(f"{facts}; {totals.macs:,} multiply-accumulates per sample.")
        made = f"Made by archdsl from the spec `{self.graph.name}`"
        return [*lines, "", f"{made}, {fingerprint[:12]}." if fingerprint else f"{made}."]

    def _input_words(self) -> str:
        return " and ".join(shape_words(concrete(self.graph.nodes[i].shape)) for i in self.graph.inputs)

    def _output_classes(self) -> list[str]:
        fields = field_names((*self.program.outputs, *self.program.aux))
        plain = len(self.program.outputs)
        texts = []
        if plain > 1:
            texts.append(
                _named_tuple(f"{self.main.name}Outputs", "What the network gives at inference.", fields[:plain])
            )
        if self.program.aux:
            texts.append(
                _named_tuple(f"{self.main.name}TrainingOutputs", "What the network gives in training.", fields)
            )
        return texts

    def _build(self) -> str:
        lines = ["def build() -> nn.Module:", *docstring(["The network, freshly initialised."], INDENT)]
        return "\n".join([*lines, f"{INDENT}return {self.main.name}()"])

    def _script(self) -> str:
        sizes = [", ".join(map(str, concrete(self.graph.nodes[i].shape))) for i in self.graph.inputs]
        inputs = [f"torch.randn(2, {size})" for size in sizes]
        lines = ['if __name__ == "__main__":', f"{INDENT}model = build().eval()", f"{INDENT}with torch.no_grad():"]
        lines += lay("output = ", Group("model(", tuple(inputs)), indent=INDENT * 2)
        if len(self.program.outputs) > 1:
            lines += [
                f"{INDENT}for name, value in output._asdict().items():",
                f'{INDENT * 2}print(f"{{name}}:", tuple(value.shape))',
            ]
        else:
            lines.append(f'{INDENT}print("output:", tuple(output.shape))')
        lines.append(
            f'{INDENT}print(f"parameters: {{sum(p.numel() for p in model.parameters() if p.requires_grad):,}}")'
        )
        return "\n".join(lines)


# --- pieces of text ---------------------------------------------------------------------------------------


@cache
def _layers() -> dict[str, str]:
    """The text of each class and function of `layers`, in the order of the file."""
    text = resources.files(__package__).joinpath("layers.py").read_text("utf-8")
    parts = (node for node in ast.parse(text).body if isinstance(node, (ast.ClassDef, ast.FunctionDef)))
    return {node.name: ast.get_source_segment(text, node) or "" for node in parts}


def _imports(text: str) -> str:
    """The imports that the text needs."""
    code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    lines = []
    if re.search(r"\bOrderedDict\b", code):
        lines.append("from collections import OrderedDict")
    typing = [name for name in ("Any", "NamedTuple") if re.search(rf"\b{name}\b", code)]
    if typing:
        lines.append(f"from typing import {', '.join(typing)}")
    third = ["import torch"] if re.search(r"\btorch\.", code) else []
    third += ["import torch.nn.functional as F"] if re.search(r"\bF\.", code) else []
    third.append("from torch import Tensor, nn")
    head = "from __future__ import annotations\n"
    return "\n".join([head, *([*lines, ""] if lines else []), *third])


def _wrap(text: str) -> list[str]:
    """Lines of at most WIDTH columns."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > WIDTH - 2:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]


def _assign(name: str, child: Doc, is_parameter: bool) -> list[str]:
    if is_attribute(name):
        return lay(f"self.{name} = ", child, indent=INDENT * 2)
    method = "register_parameter" if is_parameter else "add_module"
    return lay("", Group(f"self.{method}(", (quoted(name), child)), indent=INDENT * 2)


def _parameter(rows: Sequence[Parameter], text: Text) -> Doc:
    """`nn.Parameter(torch.ones(64, 1, 1))`."""
    sizes = [text(Use("channels", "channels"), tuple(row.shape[n] for row in rows)) for n in range(len(rows[0].shape))]
    fills = tuple(row.fill for row in rows)
    if all(fill in (0.0, 1.0) for fill in fills) and len(set(fills)) == 1:
        inner: Doc = Group(f"torch.{'ones' if fills[0] else 'zeros'}(", tuple(sizes))
    else:
        inner = Group("torch.full(", (Group("(", tuple(sizes)), text(Use("init", "init"), fills)))
    return Group("nn.Parameter(", (inner,))


def _declared(option: Option) -> str:
    types: list[str] = []
    for value in option.column:
        kind = _type_words(value)
        if kind not in types:
            types.append(kind)
    default = f" = {option.default!r}" if option.optional else ""
    return f"{option.name}: {' | '.join(types)}{default}"


def _type_words(value: object) -> str:
    if isinstance(value, ClassRef):
        return "type[nn.Module]"
    if isinstance(value, tuple):
        inner = list(dict.fromkeys(map(_type_words, value)))
        if len(value) <= 4:
            return f"tuple[{', '.join(map(_type_words, value))}]"
        return f"tuple[{' | '.join(inner)}, ...]"
    return "None" if value is None else type(value).__name__


def _numbered(shared: SharedClass) -> bool:
    """Whether the class is best a list of modules: a forward of its own over children that have numbers for names."""
    children = shared.blocks[0].children
    numbers = [str(n) for n in range(len(children))]
    modules = not any(isinstance(child, Parameter) for child in children.values())
    return not shared.container and bool(children) and modules and list(children) == numbers


def _local_name(path: str, around: str, alone: bool = True) -> str:
    """The name that a value has within a scope: its node's, or that of the scope's member which made it."""
    inside = path[len(around) :].lstrip(".") if path.startswith(around) else path.rpartition(".")[2]
    base, _, op = inside.partition("/")
    if not base:
        return op.replace("slice", "part")
    parts = base.split(".")
    return parts[0] if alone else "_".join(parts)


def _named_tuple(name: str, about: str, fields: Sequence[str]) -> str:
    lines = [f"class {name}(NamedTuple):", *docstring([about], INDENT), ""]
    return "\n".join([*lines, *(f"{INDENT}{field}: Tensor" for field in fields)])
