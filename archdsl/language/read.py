"""Reads a located tree into a `Document`: structure, keys and expressions are checked here, all of them at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from archdsl.diagnostics import ArchError, Diagnostic, Label, Report, Source, Span, did_you_mean, error
from archdsl.language import expressions
from archdsl.language.document import (
    ArgDecl,
    AuxDecl,
    Block,
    BlockParam,
    Claim,
    Document,
    InputDecl,
    InputSize,
    OpDefaults,
)
from archdsl.language.forms import TOP_LEVEL, ArgForm, Paper, Preprocess
from archdsl.language.items import BrokenItem, Item, Ref
from archdsl.language.merge import block_name
from archdsl.language.names import check_argument, check_key
from archdsl.language.reader import Reader, op_fields, part, written
from archdsl.language.shorthand import desugar_defaults
from archdsl.language.validate import plain, validate
from archdsl.ops import KINDS
from archdsl.source import Entry, Map, Scalar, Seq, Tree

T = TypeVar("T")
D = TypeVar("D")

_SIGNATURE = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*(?:<-\s*(.+))?$", re.ASCII | re.DOTALL)
_SIZES = re.compile(r"\d{1,10}(x\d{1,10}){0,2}$", re.ASCII)
_SYMBOL = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.+)$", re.ASCII)


def read_document(tree: Tree, source: Source, name: str, family: str) -> Document:
    """A document of a (merged) tree. Raises ArchError with everything that is wrong with its structure; what is
    wrong with single nodes goes to `problems`, so that elaboration can add to it."""
    if not isinstance(tree, Map):
        raise error("E0202", "a spec is a mapping, with `input:` and `net:`", tree.span)
    return _Builder(tree, source, Report()).build(name, family)


class _Builder:
    def __init__(self, tree: Map, source: Source, report: Report) -> None:
        self.tree, self.source, self.report = tree, source, report
        self.faults = Report()
        self.reader = Reader(self.faults)

    def attempt(self, make: Callable[[], T], fallback: D) -> T | D:
        try:
            return make()
        except ArchError as e:
            self.report.extend(e.diagnostics)
            return fallback

    def section(self, name: str, make: Callable[[Tree], T], fallback: D) -> T | D:
        value = self.tree.get(name)
        if value is None or (isinstance(value, Scalar) and value.value is None):
            return fallback
        return self.attempt(lambda: make(value), fallback)

    def build(self, name: str, family: str) -> Document:
        self._known_keys()
        net = self.tree.get("net")
        nothing = Item(span=self.tree.span)
        document = Document(
            source=self.source,
            tree=self.tree,
            name=name,
            family=family,
            paper=self.section("paper", self._paper, None),
            doc=self.section("doc", lambda t: str(plain(t)), ""),
            inputs=self.section("input", read_inputs, ()),
            args=self.section("args", self._args, {}),
            defaults={},
            naming="nested",
            blocks=self.section("blocks", self._blocks, {}),
            net=self.reader.child(net) if net is not None else nothing,
            net_span=self.tree.entries["net"].key.span if net is not None else self.tree.span,
            aux=self.section("aux", self._aux, ()),
            outputs=self.section("outputs", self._outputs, None),
            preprocess=self.section("preprocess", read_preprocess, None),
            labels=self.section("labels", self._labels, None),
            labels_span=self.tree.entries["labels"].value.span if "labels" in self.tree.entries else None,
            claims=self.section("claims", self._claims, ()),
            variants=self.section("variants", self._variants, ()),
        )
        nothing_said: tuple[dict[str, OpDefaults], str] = ({}, "nested")
        document.defaults, document.naming = self.section("defaults", self._defaults, nothing_said)
        self._no_clashes(document)
        if self.report.failed:
            self.report.extend(self.faults.diagnostics())
            self.report.raise_errors()
        document.problems = self.faults.diagnostics()
        return document

    def _known_keys(self) -> None:
        for name, entry in self.tree.entries.items():
            if name not in TOP_LEVEL:
                self.report.add(Diagnostic("E0201", f"`{name}` is not a key of a spec", entry.key.span,
                                           help=did_you_mean(name, TOP_LEVEL)))  # fmt: skip
        for name, example in (("input", "input: 3x224x224"), ("net", "net:")):
            if name not in self.tree.entries:
                self.report.add(Diagnostic("E0203", f"the spec has no `{name}`", _first_key(self.tree), help=f"add `{example}`"))
        version = self.tree.get("archdsl")
        if version is not None and plain(version) != 1:
            self.report.add(Diagnostic("E0208", f"this is archdsl's language 1, the spec asks for {_text(version)}", version.span,
                                       help="a newer archdsl may know it"))  # fmt: skip

    def _paper(self, tree: Tree) -> Paper:
        data = plain(tree)
        if isinstance(tree, Map):
            for key in ("arxiv", "doi", "title"):  # `1409.1550` is a number to YAML
                if isinstance(tree.get(key), Scalar):
                    data[key] = _text(tree.get(key))
        return validate(Paper, tree, "paper", data)

    def _args(self, tree: Tree) -> dict[str, ArgDecl]:
        out: dict[str, ArgDecl] = {}
        for name, entry in _entries(tree, "args"):
            decl = self.attempt(partial(_read_arg, name, entry), None)
            if decl is not None:
                out[name] = decl
        return out

    def _defaults(self, tree: Tree) -> tuple[dict[str, OpDefaults], str]:
        out: dict[str, OpDefaults] = {}
        naming = "nested"
        for name, entry in _entries(tree, "defaults"):
            if name == "naming":
                naming = _text(entry.value)
                if naming not in ("nested", "sibling", "flat"):
                    self.report.add(Diagnostic("E0202", f"`naming` is nested, sibling or flat, not `{naming[:40]}`", entry.value.span,
                                               help=did_you_mean(naming, ("nested", "sibling", "flat"))))  # fmt: skip
                    naming = "nested"
            elif name not in KINDS:
                self.report.add(Diagnostic("E0301", f"there is no kind `{name[:60]}`", entry.key.span,
                                           help=did_you_mean(name, [*KINDS, "naming"])))  # fmt: skip
            else:
                out[name] = self.attempt(partial(_read_defaults, name, entry.value), OpDefaults())
        return out, naming

    def _blocks(self, tree: Tree) -> dict[str, Block]:
        out: dict[str, Block] = {}
        for _, entry in _entries(tree, "blocks"):
            name = block_name(entry.key.text)
            broken = Block(name, (), (), BrokenItem(span=entry.key.span), entry.key.span)
            block = self.reader.attempt(partial(self._block, entry), broken)
            if block.name in out:
                self.report.add(Diagnostic("E0210", f"two blocks are named `{block.name}`", block.span,
                                           labels=(Label(out[block.name].span, "the first"),)))  # fmt: skip
            out[block.name] = block
        return out

    def _block(self, entry: Entry) -> Block:
        scalar = entry.key
        match = _SIGNATURE.match(scalar.text)
        if not match:
            raise error("E0210", f"`{scalar.text[:80]}` is not the head of a block", scalar.span,
                        help="write `name(arg, arg=default):`, with several inputs `name(arg) <- x, skip:`")  # fmt: skip
        name = check_argument(match[1], scalar, "block")
        params = _block_params(scalar, match.start(2), match.end(2)) if match[2] else ()
        inputs = tuple(i.strip() for i in match[3].split(",")) if match[3] else ()
        for i in inputs:
            check_argument(i, scalar, "input")
        names = [p.name for p in params] + list(inputs)
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice:
            raise error("E0210", f"`{twice}` stands twice in the head of `{name}`", scalar.span)
        return Block(name, params, inputs, self.reader.child(entry.value, scalar.span), scalar.span)

    def _aux(self, tree: Tree) -> tuple[AuxDecl, ...]:
        out = []
        for name, entry in _entries(tree, "aux"):
            decl = self.attempt(partial(self._aux_head, name, entry), None)
            if decl is not None:
                out.append(decl)
        return tuple(out)

    def _aux_head(self, name: str, entry: Entry) -> AuxDecl:
        check_key(entry.key)
        value = entry.value
        if not isinstance(value, Map):
            raise error("E0202", f"the auxiliary head `{name}` is a mapping: {{from, do, weight}}", value.span)
        for key, inner in value.entries.items():
            if key not in ("from", "do", "weight"):
                raise error("E0201", f"`{key}` is not a key of an auxiliary head", inner.key.span,
                            help=did_you_mean(key, ("from", "do", "weight")))  # fmt: skip
        source, body, weight = value.get("from"), value.get("do"), value.get("weight")
        if source is None or body is None:
            raise error("E0203", f"the auxiliary head `{name}` needs `{'do' if source else 'from'}`", entry.key.span)
        number = plain(weight) if weight is not None else 1.0
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise error("E0202", "`weight` is a number", weight.span if weight is not None else value.span)
        return AuxDecl(name, _ref(source), self.reader.child(body), float(number), entry.key.span)

    def _outputs(self, tree: Tree) -> tuple[tuple[str, Ref], ...]:
        if isinstance(tree, Scalar):
            return (("output", _ref(tree)),)
        if isinstance(tree, Seq):
            return tuple((ref.parts[-1], ref) for ref in map(_ref, tree.items))
        return tuple((check_argument(name, e.key, "output"), _ref(e.value)) for name, e in _entries(tree, "outputs"))

    def _labels(self, tree: Tree) -> tuple[str, ...]:
        if isinstance(tree, Seq):
            return tuple(_text(item) for item in tree.items)
        name = _text(tree)
        return read_labels(self.source, name, tree.span)

    def _claims(self, tree: Tree) -> tuple[Claim, ...]:
        known = ("params", "params_with_aux", "macs", "depth", "top1", "top5")
        out: list[Claim | None] = []
        for name, entry in _entries(tree, "claims"):
            if name not in known:
                self.report.add(Diagnostic("E0201", f"`{name}` cannot be claimed", entry.key.span, help=did_you_mean(name, known)))
                continue
            out.append(self.attempt(partial(_read_claim, name, entry), None))
        return tuple(c for c in out if c is not None)

    def _variants(self, tree: Tree) -> tuple[str, ...]:
        for name, entry in _entries(tree, "variants"):
            self.attempt(partial(check_key, entry.key), "")
            if not isinstance(entry.value, Map):
                self.report.add(Diagnostic("E0202", f"the variant `{name}` must be a mapping of overrides", entry.value.span))
        return tuple(name for name, _ in _entries(tree, "variants"))

    def _no_clashes(self, document: Document) -> None:
        for name, arg in document.args.items():
            if name in document.blocks:
                self.report.add(Diagnostic("E0502", f"`{name}` names both an argument and a block", arg.span,
                                           labels=(Label(document.blocks[name].span, "the block"),)))  # fmt: skip
        for block in document.blocks.values():
            for parameter in block.params:
                if parameter.name in document.blocks:
                    self.report.add(Diagnostic("E0502", f"`{parameter.name}` names both a block and an argument of `{block.name}`",
                                               parameter.span))  # fmt: skip


def _first_key(tree: Map) -> Span:
    return next(iter(tree.entries.values())).key.span if tree.entries else tree.span


def _entries(tree: Tree, what: str) -> list[tuple[str, Entry]]:
    if not isinstance(tree, Map):
        raise error("E0202", f"`{what}` must be a mapping", tree.span)
    return list(tree.entries.items())


def _text(tree: Tree | None) -> str:
    if not isinstance(tree, Scalar):
        raise error("E0202", "a text is expected here", tree.span if tree is not None else None)
    return tree.text


def _ref(tree: Tree) -> Ref:
    parts = tuple(_text(tree).strip().split("."))
    if not all(re.match(r"[A-Za-z0-9_-]+$", p, re.ASCII) for p in parts):
        raise error("E0302", "the name of a node is expected here, e.g. `layer4.0`", tree.span)
    return Ref(parts, tree.span)


def _read_arg(name: str, entry: Entry) -> ArgDecl:
    check_argument(name, entry.key)
    value = entry.value
    if not isinstance(value, Map):
        return ArgDecl(name, written(value), None, None, None, entry.key.span)
    form = validate(ArgForm, value, f"args.{name}")
    default = value.get("default")
    assert default is not None
    return ArgDecl(name, written(default), form.type, form.min, form.max, entry.key.span)


def _read_defaults(kind: str, tree: Tree) -> OpDefaults:
    op = KINDS[kind]
    if isinstance(tree, Scalar):
        if not isinstance(tree.value, str):
            raise error("E0202", f"what follows `{kind}` is expected here, e.g. `bn relu`", tree.span)
        tree = desugar_defaults(tree, op)
    if not isinstance(tree, Map):
        raise error("E0202", f"the defaults of `{kind}` are words or a mapping", tree.span)
    own = {k: e for k, e in tree.entries.items() if k not in ("norm", "act")}
    fields = op_fields(op, {k: e.value for k, e in own.items()}, {k: e.key.span for k, e in own.items()})
    return OpDefaults(fields, part(tree, "norm"), part(tree, "act"))


def _block_params(scalar: Scalar, start: int, end: int) -> tuple[BlockParam, ...]:
    """`w, s=1, c=in`: split at the commas outside of brackets."""
    out: list[BlockParam] = []
    depth, begin = 0, start
    text = scalar.text
    for at in range(start, end + 1):
        char = text[at] if at < end else ","
        depth += (char in "([") - (char in ")]")
        if char != "," or depth:
            continue
        name, equals, _ = text[begin:at].partition("=")
        inner = begin + len(name) - len(name.lstrip())
        where = scalar.piece(inner, max(inner + len(name.strip()), inner))
        check_argument(name.strip(), where)
        default = expressions.parse(scalar, begin + len(name) + 1, at) if equals else None
        if default is None and out and out[-1].default is not None:
            raise error("E0210", f"`{name.strip()}` has no default and stands behind one that has", where.span)
        out.append(BlockParam(name.strip(), default, where.span))
        begin = at + 1
    return tuple(out)


def read_inputs(tree: Tree) -> tuple[InputDecl, ...]:
    """`3x224x224`, `784`, `[3, H=224, W=224]`, or a mapping of names to those. Raises E0202."""
    if not isinstance(tree, Map):
        return (InputDecl(None, _input_sizes(tree), tree.span),)
    if not tree.entries:
        raise error("E0202", "`input` names no input", tree.span)
    out = []
    for name, entry in tree.entries.items():
        check_argument(name, entry.key, "input")
        out.append(InputDecl(name, _input_sizes(entry.value), entry.value.span))
    return tuple(out)


def _input_sizes(tree: Tree) -> tuple[InputSize, ...]:
    if isinstance(tree, Scalar) and (type(tree.value) is int or _SIZES.match(tree.text)):
        pieces, at = [], 0
        for text in tree.text.split("x"):
            pieces.append(InputSize(expressions.literal(int(text), tree.part(at, at + len(text)))))
            at += len(text) + 1
        sizes = tuple(pieces)
    elif isinstance(tree, Seq):
        sizes = tuple(_input_size(item) for item in tree.items)
    else:
        raise error("E0202", f"`{_text(tree)[:40] if isinstance(tree, Scalar) else 'this'}` is not an input", tree.span,
                    help="write channels x height x width, e.g. `3x224x224`, or one number for a vector")  # fmt: skip
    if len(sizes) not in (1, 3):
        raise error("E0202", f"an input has 1 size (a vector) or 3 (channels, height, width), not {len(sizes)}", tree.span)
    return sizes


def _input_size(tree: Tree) -> InputSize:
    if isinstance(tree, Scalar) and isinstance(tree.value, str):
        match = _SYMBOL.match(tree.text)
        if match:
            return InputSize(expressions.parse(tree, match.start(2)), check_argument(match[1], tree, "size"))
    expr = written(tree).expr
    if expr is None:
        raise error("E0202", "a size is one number", tree.span)
    return InputSize(expr)


def read_preprocess(tree: Tree) -> Preprocess:
    if isinstance(tree, Scalar):
        preset = Preprocess.presets.get(tree.text)
        if preset is None:
            raise error("E0202", f"there is no preprocessing `{tree.text[:40]}`", tree.span,
                        help=did_you_mean(tree.text, Preprocess.presets))  # fmt: skip
        return Preprocess(**preset)
    data = plain(tree)
    if isinstance(data, dict):
        for key in ("mean", "std"):
            if isinstance(data.get(key), (int, float)) and not isinstance(data[key], bool):
                data[key] = (data[key],)
    return validate(Preprocess, tree, "preprocess", data)


def _read_claim(name: str, entry: Entry) -> Claim:
    value, source, note = entry.value, "", ""
    if isinstance(value, Map):
        for key, inner in value.entries.items():
            if key not in ("value", "source", "note"):
                raise error("E0201", f"`{key}` is not a key of a claim", inner.key.span,
                            help=did_you_mean(key, ("value", "source", "note")))  # fmt: skip
        if value.get("value") is None:
            raise error("E0203", "a claim needs `value`", value.span)
        source = _text(value.get("source")) if value.get("source") is not None else ""
        note = _text(value.get("note")) if value.get("note") is not None else ""
        value = value.entries["value"].value
    text = _text(value)
    if not re.match(r"\d[\d,_]*(\.\d+)?\s*[kKMGTB%]?$", text):
        raise error("E0202", f"`{text[:40]}` is not a number", value.span, help="e.g. `138M`, `4.09G`, `25,557,032`")
    return Claim(name, text, source, note, value.span)


MAX_LABELS_BYTES = 1 << 20


def read_labels(source: Source, name: str, span: Span) -> tuple[str, ...]:
    """One label a line, from a file beside the spec. Raises E0207 for a file elsewhere."""
    if source.path is None:
        raise error("E0207", "a spec from standard input has no folder to look for labels in", span)
    folder = source.path.resolve().parent
    path = (folder / name).resolve()
    if Path(name).is_absolute() or folder not in path.parents or not path.is_file():
        raise error("E0207", "the labels must be a file beside the spec", span)
    if path.stat().st_size > MAX_LABELS_BYTES:
        raise error("E0107", "the file of labels is larger than 1 MiB", span)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise error("E0114", "the file of labels cannot be read as UTF-8 text", span) from e
    return tuple(line.strip() for line in lines if line.strip())


