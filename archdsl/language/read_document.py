"""Reads a located tree into a `Document`: checks structure, keys and expressions, and reports all errors at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from archdsl.diagnostics import (
    ArchError,
    Diagnostic,
    Edit,
    Fix,
    Label,
    Proposal,
    Report,
    Source,
    Span,
    TooManyErrors,
    closest,
    did_you_mean,
    error,
    suggestion,
)
from archdsl.language import expressions
from archdsl.language.document import ArgDecl, AuxDecl, Block, Claim, Document, OpDefaults
from archdsl.language.inheritance import with_bare_args
from archdsl.language.keys import KEYS_ELSEWHERE, MAPPINGS, NAMINGS, SINGLE, TOP_LEVEL
from archdsl.language.names import check_argument, check_key, check_path
from archdsl.language.overlay import block_name
from archdsl.language.read_nodes import Reader, reference
from archdsl.language.read_sections import (
    check_keys,
    family_of,
    read_arg,
    read_axes,
    read_claim,
    read_defaults,
    read_family,
    read_inputs,
    read_labels,
    read_preprocess,
    read_signature,
    read_task,
    text_of,
)
from archdsl.language.section_models import PaperForm
from archdsl.language.syntax import BrokenSyntax, ListSyntax, Ref
from archdsl.language.validate import plain, validate
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Entry, Map, Scalar, Seq, Tree, collector_paused

_CLAIMS_ELSEWHERE = {
    **dict.fromkeys(("flops", "gflops", "mflops"), "write `macs`, the number of multiply-adds: FLOPs are 2 x MACs"),
    **dict.fromkeys(("layers", "num_layers"), "write `depth`, the most layers with weights on one path"),
}
STRUCTURE = ("input", "axes", "args", "defaults", "blocks")
"""Sections whose errors would cause follow-up errors in nodes: their errors are reported alone."""
T = TypeVar("T")
D = TypeVar("D")


def known_document(tree: Tree, source: Source, name: str, own: str) -> tuple[Document, ArchError | None]:
    """Return the document of a (merged) tree, and all errors of its structure; None if there are none.

    Errors of single nodes are collected in `problems`, so that elaboration can add its errors. A section or a node with
    errors is left out or replaced; after too many errors, the document is empty.
    """
    if not isinstance(tree, Map):
        raise error("E0202", "a spec must be a mapping with `input:` and `net:`", tree.span)
    builder = _DocumentBuilder(tree, source, Report())
    with collector_paused():
        try:
            document = builder.build(name, own)
        except TooManyErrors:
            found = sorted((*builder.report.diagnostics(), *builder.faults.diagnostics()), key=Diagnostic.sort_key)
            return known_document(Map({}, tree.span, False), source, name, own)[0], ArchError(found)
    return document, ArchError(builder.report.diagnostics()) if builder.report.failed else None


class _DocumentBuilder:
    def __init__(self, tree: Map, source: Source, report: Report) -> None:
        self.tree, self.source, self.report = tree, source, report
        self.faults = Report()
        self.meant: set[str | None] = set()
        """The sections that misspelt keys mean."""
        self.names: frozenset[str] | None = None
        """The names that defaults can use; None if they are not known, as a section has errors."""
        meant = (key for key in tree.entries if key not in TOP_LEVEL and closest(_own_key(key), TOP_LEVEL) == "net")
        self.net_key = "net" if "net" in tree.entries else next(meant, "net")
        """A key that should be `net` is reported, and its nodes are read all the same."""
        blocks = tree.get("blocks")
        names = frozenset(map(block_name, blocks.entries)) if isinstance(blocks, Map) else frozenset()
        self.reader = Reader(self.faults, names)

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
        structure = self.report
        if name not in STRUCTURE:
            self.report = self.faults
        try:
            return self.attempt(lambda: make(value), fallback)
        finally:
            self.report = structure

    def build(self, name: str, own: str) -> Document:
        self._known_keys()
        self._check_name()
        net = self.tree.entries.get(self.net_key) if not self._not_indented() else None
        nothing = ListSyntax(span=self.tree.span, items=())
        document = Document(
            source=self.source,
            tree=self.tree,
            name=name,
            own=own,
            family=self.section("family", read_family, "") or family_of(own),
            task=self.section("task", read_task, ""),
            paper=self.section("paper", self._paper, None),
            doc=self.section("doc", lambda t: str(plain(t)), ""),
            inputs=self.section("input", read_inputs, ()),
            axes=self.section("axes", read_axes, None),
            args=self.section("args", self._args, {}),
            defaults={},
            naming="nested",
            blocks=self.section("blocks", self._blocks, {}),
            net=self.reader.child(net.value, net.key.span) if net is not None else nothing,
            net_span=net.key.span if net is not None else self.tree.span,
            aux=self.section("aux", self._aux, ()),
            outputs=self.section("outputs", self._outputs, None),
            preprocess=self.section("preprocess", read_preprocess, None),
            labels=self.section("labels", self._labels, None),
            labels_span=self.tree.entries["labels"].value.span if "labels" in self.tree.entries else None,
            claims=self.section("claims", self._claims, ()),
            variants=self.section("variants", self._variants, ()),
        )
        no_defaults: tuple[dict[str, OpDefaults], str] = ({}, "nested")
        errors = self.report.errors
        unknown = any(isinstance(b.body, BrokenSyntax) and b.body.span is b.span for b in document.blocks.values())
        self.names = None if self.report.failed or unknown else _names(document)
        document.defaults, document.naming = self.section("defaults", self._defaults, no_defaults)
        document.has_defaults = self.report.errors == errors and "defaults" not in self.meant
        self._no_clashes(document)
        if self.report.failed:
            self.report.extend(self.faults.diagnostics())
        document.problems = self.faults.diagnostics()
        return document

    def _check_name(self) -> None:
        """Check the name, which becomes part of file names, ONNX files and source."""
        name = self.tree.get("name")
        if name is None:
            return
        if not isinstance(name, Scalar) or not isinstance(name.value, str):
            self.faults.add(Diagnostic("E0202", "`name` must be a string", name.span))
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}", name.value):
            self.faults.add(
                Diagnostic(
                    "E0501",
                    f"`{name.value[:60]}` is not a valid name for a network",
                    name.span,
                    help="use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or `_`",
                )
            )

    def _not_indented(self) -> list[str]:
        """The keys after an empty `net:` that are no keys of a spec: they are its nodes."""
        names = list(self.tree.entries)
        net = self.tree.get("net")
        if not isinstance(net, Scalar) or net.value is not None:
            return []
        return [name for name in names[names.index("net") :] if name not in TOP_LEVEL]

    def _known_keys(self) -> None:
        nodes = self._not_indented()
        if nodes:
            listed = ", ".join(f"`{name}:`" for name in nodes[:4]) + (", ..." if len(nodes) > 4 else "")
            key = self.tree.entries["net"].key.span
            help_ = f"write two spaces before {listed}"
            self.report.add(Diagnostic("E0202", "`net` is empty: its nodes are not indented", key, help=help_))
        for name, entry in self.tree.entries.items():
            if name not in TOP_LEVEL and name not in nodes:
                harmless = name == self.net_key or not self._follows_up(name)
                report = self.faults if harmless else self.report
                help_, what = _key_help(name, entry), f"`{name}` is not a key of a spec"
                report.add(Diagnostic("E0201", what, entry.key.span, help=help_, fixes=_input_fixes(help_, entry)))
        missing = [name for name in ("input", "net") if name not in self.tree.entries]
        others = [name for name in self.tree.entries if name not in TOP_LEVEL and name not in nodes]
        self.meant = {closest(_own_key(name), TOP_LEVEL) for name in others}
        missing = [name for name in missing if name not in self.meant]
        if missing:
            examples = {"input": "`input: 3x224x224`", "net": "`net:` with its nodes"}
            self.report.add(
                Diagnostic(
                    "E0203",
                    f"the spec has no {' and no '.join(f'`{m}`' for m in missing)}",
                    _first_key(self.tree),
                    help=f"add {' and '.join(examples[m] for m in missing)}",
                )
            )
        version = self.tree.get("archdsl")
        if version is not None and (plain(version) is True or plain(version) != 1):
            required = f" {version.text[:40]}" if isinstance(version, Scalar) else " of another form"
            self.report.add(
                Diagnostic(
                    "E0208",
                    f"this archdsl reads language version 1, the spec needs version{required}",
                    version.span,
                    help=Proposal("update archdsl, or write `archdsl: 1`", "1"),
                )
            )

    def _follows_up(self, name: str) -> bool:
        """Whether an unknown key may cause errors in nodes: as a misspelt section, or as an argument that they use."""
        meant = closest(_own_key(name), TOP_LEVEL)
        return meant in (*STRUCTURE, "net") or len(re.findall(rf"\b{re.escape(name)}\b", self.source.text)) > 1

    def _paper(self, tree: Tree) -> PaperForm:
        data = plain(tree)
        if isinstance(tree, Map):
            for key in ("arxiv", "doi", "title"):  # `1409.1550` is a number to YAML
                if isinstance(tree.get(key), Scalar):
                    data[key] = text_of(tree.get(key))
        return validate(PaperForm, tree, "paper", data)

    def _args(self, tree: Tree) -> dict[str, ArgDecl]:
        out: dict[str, ArgDecl] = {}
        for name, entry in _entries(tree, "args"):
            decl = self.attempt(partial(read_arg, name, entry), None)
            if decl is not None:
                out[name] = decl
        return out

    def _defaults(self, tree: Tree) -> tuple[dict[str, OpDefaults], str]:
        out: dict[str, OpDefaults] = {}
        naming = "nested"
        for name, entry in _entries(tree, "defaults"):
            if name == "naming":
                naming = text_of(entry.value)
                if naming not in NAMINGS:
                    self.report.add(
                        Diagnostic(
                            "E0202",
                            f"`naming` must be nested, sibling or flat, not `{naming[:40]}`",
                            entry.value.span,
                            help=did_you_mean(naming, NAMINGS),
                        )
                    )
                    naming = "nested"
            elif name not in OPS_BY_NAME:
                self.report.add(
                    Diagnostic(
                        "E0301",
                        f"unknown op `{name[:60]}`",
                        entry.key.span,
                        help=did_you_mean(name, [*OPS_BY_NAME, "naming"]),
                    )
                )
            else:
                out[name] = self.attempt(partial(read_defaults, name, entry.value, self.names), OpDefaults())
        return out, naming

    def _blocks(self, tree: Tree) -> dict[str, Block]:
        out: dict[str, Block] = {}
        for _, entry in _entries(tree, "blocks"):
            name = block_name(entry.key.text)
            broken = Block(name, (), (), BrokenSyntax(span=entry.key.span), entry.key.span)
            block = self.reader.attempt(partial(self._block, entry), broken)
            if block.name in out:
                self.report.add(
                    Diagnostic(
                        "E0210",
                        f"two blocks are named `{block.name}`",
                        block.span,
                        labels=(Label(out[block.name].span, "first defined here"),),
                    )
                )
                block = broken._replace(name=block.name)
            out[block.name] = block
        return out

    def _block(self, entry: Entry) -> Block:
        name, params, inputs = read_signature(entry.key)
        return Block(name, params, inputs, self.reader.child(entry.value, entry.key.span), entry.key.span)

    def _aux(self, tree: Tree) -> tuple[AuxDecl, ...]:
        out = []
        for name, entry in _entries(tree, "aux"):
            decl = self.attempt(partial(self._aux_head, name, entry), None)
            if decl is not None:
                out.append(decl)
        return tuple(out)

    def _aux_head(self, name: str, entry: Entry) -> AuxDecl:
        check_path(entry.key)
        value = entry.value
        if not isinstance(value, Map):
            raise error(
                "E0202", f"the auxiliary head `{name}` must be a mapping with `from`, `do` and `weight`", value.span
            )
        check_keys(value, ("from", "do", "weight"), "an auxiliary head")
        source, body, weight = value.get("from"), value.get("do"), value.get("weight")
        if source is None or body is None:
            raise error("E0203", f"the auxiliary head `{name}` needs `{'do' if source else 'from'}`", entry.key.span)
        number = plain(weight) if weight is not None else 1.0
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise error("E0202", "`weight` must be a number", weight.span if weight is not None else value.span)
        return AuxDecl(name, reference(source), self.reader.child(body), float(number), entry.key.span)

    def _outputs(self, tree: Tree) -> tuple[tuple[str, Ref], ...]:
        if isinstance(tree, Scalar):
            return (("output", reference(tree)),)
        if isinstance(tree, Seq):
            return tuple((ref.parts[-1], ref) for ref in map(reference, tree.items))
        return tuple(
            (check_argument(name, e.key, "an output"), reference(e.value)) for name, e in _entries(tree, "outputs")
        )

    def _labels(self, tree: Tree) -> tuple[str, ...]:
        if isinstance(tree, Seq):
            return tuple(text_of(item) for item in tree.items)
        if isinstance(tree, Map) or "," in tree.text:
            from archdsl.language.foreign.sections import labels_help

            raise error("E0202", "`labels` must be a list, or the name of a file", tree.span, help=labels_help(tree))
        return read_labels(self.source, text_of(tree), tree.span)

    def _claims(self, tree: Tree) -> tuple[Claim, ...]:
        known = ("params", "params_with_aux", "macs", "depth", "top1", "top5")
        out: list[Claim | None] = []
        entries = dict(_entries(tree, "claims"))
        source = self.attempt(partial(text_of, entries.pop("source").value), "") if "source" in entries else ""
        for name, entry in entries.items():
            if name not in known:
                self.report.add(
                    Diagnostic(
                        "E0201",
                        f"`{name}` is not a key of `claims`",
                        entry.key.span,
                        help=_CLAIMS_ELSEWHERE.get(name.lower()) or did_you_mean(name, (*known, "source")),
                    )
                )
                continue
            out.append(self.attempt(partial(read_claim, name, entry, source), None))
        return tuple(c for c in out if c is not None)

    def _variants(self, tree: Tree) -> tuple[str, ...]:
        for name, entry in _entries(tree, "variants"):
            self.attempt(partial(check_key, entry.key), "")
            if not isinstance(entry.value, Map):
                self.report.add(
                    Diagnostic("E0202", f"the variant `{name}` must be a mapping of overrides", entry.value.span)
                )
            else:
                self.attempt(partial(with_bare_args, self.tree, entry.value), None)
        return tuple(name for name, _ in _entries(tree, "variants"))

    def _no_clashes(self, document: Document) -> None:
        for name, arg in document.args.items():
            if name in document.blocks:
                self.report.add(
                    Diagnostic(
                        "E0502",
                        f"`{name}` is both an argument and a block",
                        arg.span,
                        labels=(Label(document.blocks[name].span, "the block"),),
                    )
                )
        for block in document.blocks.values():
            for parameter in block.params:
                if parameter.name in document.blocks:
                    self.report.add(
                        Diagnostic(
                            "E0502",
                            f"`{parameter.name}` is both a block and an argument of `{block.name}`",
                            parameter.span,
                        )
                    )


def _names(document: Document) -> frozenset[str]:
    """The names that the expressions of any node can use, except those of ops."""
    params = (p.name for block in document.blocks.values() for p in block.params)
    given = (*expressions.CONSTANTS, *expressions.OF_INPUT, "i", "first", "last")
    return frozenset((*document.args, *params, *document.blocks, *given))


def _own_key(name: str) -> str:
    """The key of the language for the key of another format; other names are unchanged."""
    return KEYS_ELSEWHERE.get(name.lower(), name)


def _key_help(name: str, entry: Entry) -> str:
    from archdsl.language.foreign.sections import key_help

    single = isinstance(entry.value, Scalar)
    impossible = MAPPINGS if single and entry.value.span.text else () if single else SINGLE
    meant = _own_key(name)
    known = [key for key in TOP_LEVEL if key not in impossible] if closest(meant, TOP_LEVEL) else TOP_LEVEL
    help_ = key_help(name, entry)
    return help_ or (did_you_mean(meant, known) if meant == name else suggestion(name, meant, known))


def _input_fixes(help_: str, entry: Entry) -> tuple[Fix, ...]:
    """The fix for a help of the form `input: 3x224x224`: it writes the key, and the sizes if they are other ones."""
    match = re.match(r"write `input: ([\dx]+)`", help_)
    if match is None:
        return ()
    same = entry.value.span.text == match[1]
    sizes = () if same else (Edit(entry.value.span, match[1]),)
    return (Fix(f"write `input: {match[1]}`", (Edit(entry.key.span, "input"), *sizes), safe=same),)


def _first_key(tree: Map) -> Span:
    return next(iter(tree.entries.values())).key.span if tree.entries else tree.span


def _entries(tree: Tree, what: str) -> list[tuple[str, Entry]]:
    if not isinstance(tree, Map):
        help_ = ""
        if what == "blocks":
            from archdsl.language.foreign.sections import blocks_help

            help_ = blocks_help(tree)
        raise error("E0202", f"`{what}` must be a mapping", tree.span, help=help_)
    return list(tree.entries.items())
