"""What can be written at the cursor: keys, ops, flags, fields, blocks, arguments, earlier nodes, networks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias, cast

from archdsl.editor.cursor import Cursor, cursor_at
from archdsl.editor.snapshot import Snapshot
from archdsl.language.document import Block, Document
from archdsl.language.expressions import CONSTANTS, FUNCTIONS, OF_INPUT, show
from archdsl.language.hints import words_of
from archdsl.language.keys import HEADS, NAMINGS, SHORTCUTS, TASKS, TOP_LEVEL
from archdsl.language.overlay import block_name
from archdsl.language.schema.models import COMPOSITES, AuxForm, Claims, DocumentForm
from archdsl.language.schema.values import summary
from archdsl.language.section_models import ArgForm, Form, PaperForm, Preprocess
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.source import Map, Tree
from archdsl.spec.find import library_names

Kind: TypeAlias = Literal["key", "op", "block", "field", "flag", "argument", "node", "value", "network"]
_IDENTIFIER = re.compile(r"[A-Za-z_.][\w.-]*$", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*$", re.ASCII)
_NODES = ("net", "blocks", "aux")
_VALUES: dict[str, Iterable[str]] = {
    "task": TASKS,
    "naming": NAMINGS,
    "shortcut": SHORTCUTS,
    "merge": ("concat", "add", "mul"),
}
_FORMS: dict[str, type[Form]] = {"paper": PaperForm, "claims": Claims, "preprocess": Preprocess}


class Candidate(NamedTuple):
    """A text that can replace the characters from `start` to the cursor."""

    text: str
    kind: Kind
    start: int
    detail: str = ""


def complete(snapshot: Snapshot, text: str, offset: int) -> list[Candidate]:
    """Return what can be written at an offset of a text. The snapshot may be of an earlier text of the same file."""
    cursor = cursor_at(text, offset)
    if cursor.comment:
        return []
    word = _IDENTIFIER.search(cursor.words)
    start = offset - (len(word.group()) if word is not None else 0)
    name = _NAME.search(cursor.words)
    reader = _Names(snapshot, offset)
    options = reader.at(cursor)
    out: dict[str, Candidate] = {}
    for option, kind, detail in options:
        begin = start if kind in ("node", "network") or name is None else offset - len(name.group())
        out.setdefault(option, Candidate(option, kind, begin, detail))
    return list(out.values())


Option: TypeAlias = tuple[str, Kind, str]


class _Names:
    """The names of a file that can be written at an offset."""

    def __init__(self, snapshot: Snapshot, offset: int) -> None:
        own, shown = snapshot.network.document, snapshot.shown.document
        self.document: Document = own if own.args or own.blocks else shown
        self.tree, self.offset = snapshot.tree, offset

    def at(self, cursor: Cursor) -> Iterator[Option]:
        variant = cursor.path[:1] == ("variants",) and bool(cursor.path[1:])
        path = cursor.path[2:] if variant else cursor.path
        if not path:
            yield from _keys(DocumentForm, (key for key in TOP_LEVEL if variant or key not in self.tree.entries))
            if variant or "extends" in self.tree.entries:
                yield from ((f"{name}: ", kind, detail) for name, kind, detail in self.arguments(None))
        elif path[-1] == "extends":
            yield from ((name, "network", "") for name in library_names())
        elif path[-1] == "preprocess" and not cursor.is_key:
            yield from ((name, "value", "") for name in Preprocess.presets)
        elif path[-1] in ("from", "outputs") or (path[0] == "outputs" and not cursor.is_key):
            yield from self.nodes(path)
        elif path[0] == "defaults":
            yield from self.defaults(path, cursor)
        elif cursor.is_key and path[0] in _FORMS and len(path) == 1:
            yield from _keys(_FORMS[path[0]])
        elif path[0] == "args" and len(path) == 2 and cursor.is_key:
            yield from _keys(ArgForm)
        elif path[0] == "args" and path[2:] == ("scale",):
            yield from ((word, "value", f"compound scaling takes it for the {word}") for word in ("depth", "width"))
        elif path[-1] in _VALUES and not cursor.is_key:
            yield from ((word, "value", "") for word in _VALUES[path[-1]])
            yield from self.words(path, cursor.words) if path[-1] == "shortcut" else ()
        elif path[0] in _NODES and path != ("blocks",):
            yield from self.node(path, cursor)

    def node(self, path: tuple[str, ...], cursor: Cursor) -> Iterator[Option]:
        if path[0] == "aux" and cursor.is_key:
            yield from _keys(AuxForm)
        elif cursor.is_key:
            for form in COMPOSITES.values():
                yield from _keys(form)
            if path[-1] not in ("net", *HEADS):
                yield "op: ", "key", "the name of an op"
        elif path[-1] == "op":
            yield from _ops()
        else:
            yield from self.words(path, cursor.words)

    def defaults(self, path: tuple[str, ...], cursor: Cursor) -> Iterator[Option]:
        if len(path) == 1:
            yield from ((f"{name}: ", kind, detail) for name, kind, detail in _ops())
            yield "naming: ", "key", "how norms and activations are named"
        elif path[1] in OPS_BY_NAME:
            yield from _after(OPS_BY_NAME[path[1]])
        elif path[1] == "naming":
            yield from ((word, "value", "") for word in _VALUES["naming"])

    def words(self, path: tuple[str, ...], words: str) -> Iterator[Option]:
        """What can follow the words of a node that is being written."""
        block = self.document.blocks.get(block_name(path[1])) if path[0] == "blocks" and path[1:] else None
        tokens = re.split(r"\s+", words)
        before = tokens[:-1]
        call = re.search(r"([A-Za-z_]\w*)\([^()]*(?:\([^()]*\)[^()]*)*$", words)
        if "<-" in before:
            yield from self.nodes(path)
        elif call is not None:
            called = self.document.blocks.get(call[1])
            yield from ((f"{p.name}=", "argument", f"of {call[1]}") for p in (called.params if called else ()))
            yield from self.arguments(block, "first last i in".split())
        elif "when" in before:
            yield from self.arguments(block, "first last i in and or not".split())
        elif (op := next((OPS_BY_NAME[token] for token in before if token in OPS_BY_NAME), None)) is not None:
            name, equals, _ = tokens[-1].partition("=")
            if equals and name in op.references:
                yield from self.nodes(path)
            elif equals and name in op.model_fields:
                yield from ((word, "value", "") for word in sorted(words_of(op, name)))
            elif not equals:
                yield from _after(op)
            yield from self.arguments(block)
        else:
            yield from _ops()
            yield from ((b.name, "block", _signature(b)) for b in self.document.blocks.values())
            yield from self.arguments(block)
            yield "dense", "key", "dense 6 * layer: a dense block"

    def arguments(self, block: Block | None, more: Iterable[str] = ()) -> Iterator[Option]:
        """The names of expressions: arguments of the block and of the file."""
        if block is not None:
            yield from ((p.name, "argument", f"of {block.name}") for p in block.params)
        yield from ((name, "argument", decl.default.span.text[:60]) for name, decl in self.document.args.items())
        functions = [*FUNCTIONS, *CONSTANTS, *OF_INPUT] if more else ()
        yield from ((word, "value", "") for word in (*more, *functions))

    def nodes(self, path: tuple[str, ...]) -> Iterator[Option]:
        """The earlier nodes that a reference can name: in the sequences around the cursor, and in these."""
        net, tree = self.tree.get("net"), cast("Tree | None", self.tree)
        levels = [net] if path[0] not in ("net", "blocks") and isinstance(net, Map) else []
        for key in path if path[0] in _NODES else ():
            tree = tree.get(key) if isinstance(tree, Map) else None
            if isinstance(tree, Map):
                levels.insert(0, tree)
        inputs = self.tree.get("input")
        if path[0] == "blocks" and path[1:]:
            block = self.document.blocks.get(block_name(path[1]))
            yield from ((name, "node", "an input of the block") for name in (block.inputs if block else ()))
        elif isinstance(inputs, Map):
            yield from ((name, "node", "an input") for name in inputs.entries)
        yield "input", "node", "the input"
        for level in levels:
            for name, entry in level.entries.items():
                if entry.value.span.end < self.offset and name not in (*HEADS, "then", "from"):
                    yield name, "node", entry.value.span.text.partition("\n")[0][:60]
                    inner = entry.value.entries if isinstance(entry.value, Map) else {}
                    yield from ((f"{name}.{key}", "node", "") for key in inner if key not in HEADS)


def _after(op: type[Op]) -> Iterator[Option]:
    """What can follow an op: its flags and fields, a norm, an activation."""
    for flag, (name, value) in op.flags.items():
        yield flag, "flag", f"{name}={show(value)}"
    for name, field in op.model_fields.items():
        yield f"{name}=", "field", field.description or ""
    yield from (option for option in _ops() if OPS_BY_NAME[option[0]].role)
    yield "linear", "flag", "no activation"
    yield "plain", "flag", "no norm and no activation"


def _ops() -> Iterator[Option]:
    for name, op in OPS_BY_NAME.items():
        yield name, "op", summary(op).partition("\n")[0]


def _keys(form: type[Form], names: Iterable[str] | None = None) -> Iterator[Option]:
    fields = {field.alias or name: field for name, field in form.model_fields.items()}
    for name in names if names is not None else fields:
        yield f"{name}: ", "key", fields[name].description or ""


def _signature(block: Block) -> str:
    return block.span.text.strip("\"'")
