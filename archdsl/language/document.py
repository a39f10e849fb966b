"""The content of a spec as plain data: a `Document`, which `known_document` creates and `elaborate` expands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

from archdsl.diagnostics import ArchError, Diagnostic, Label, Report, Source, Span, TooManyErrors, did_you_mean, error
from archdsl.language.expressions import Env, Expr, Value, show
from archdsl.language.read_nodes import written
from archdsl.language.section_models import PaperForm, Preprocess
from archdsl.language.syntax import FieldValue, NormOrAct, Ref, SyntaxNode
from archdsl.language.validate import frozen
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Map, Scalar, Seq, Tree


class InputSize(NamedTuple):
    """One size of an input: an expression, and for a spatial size the name of its symbol if it is written."""

    expr: Expr
    symbol: str | None = None


class Axes(NamedTuple):
    """The number of axes that the windows of a base are spread over: `axes: 3`."""

    number: int
    span: Span


class InputDecl(NamedTuple):
    """One input: its name (None for the only input) and its sizes."""

    name: str | None
    sizes: tuple[InputSize, ...]
    span: Span


class ArgDecl(NamedTuple):
    """An argument of the spec, with its default, type and limits; `scale`: what compound scaling takes it for."""

    name: str
    default: FieldValue
    type: str | None
    least: float | None
    most: float | None
    span: Span
    scale: str | None = None


class BlockParam(NamedTuple):
    """An argument of a block."""

    name: str
    default: Expr | None
    span: Span


class Block(NamedTuple):
    """A user-defined composite: its arguments, its inputs and its body."""

    name: str
    params: tuple[BlockParam, ...]
    inputs: tuple[str, ...]
    body: SyntaxNode
    span: Span


class OpDefaults(NamedTuple):
    """The defaults of an op: fields, norm and activation."""

    fields: Mapping[str, FieldValue] = MappingProxyType({})
    norm: NormOrAct | None = None
    act: NormOrAct | None = None

    def values(self) -> Iterator[FieldValue]:
        """Yield the written values, including those of the norm and the activation."""
        yield from self.fields.values()
        for part in (self.norm, self.act):
            if part is not None:
                yield part.name
                yield from part.fields.values()


class AuxDecl(NamedTuple):
    """An auxiliary head: the node it reads, its nodes, and its weight in the loss."""

    name: str
    source: Ref
    body: SyntaxNode
    weight: float
    span: Span


class Claim(NamedTuple):
    """A published number as written (`4.09G`), and its source."""

    name: str
    text: str
    source: str
    note: str
    span: Span


@dataclass
class Document:
    """A spec with a valid structure. `own` is the name of the network of the file, `name` that of the variant."""

    source: Source
    tree: Map
    name: str
    own: str
    family: str
    task: str
    """What it is for; empty if it is not written."""
    paper: PaperForm | None
    doc: str
    inputs: tuple[InputDecl, ...]
    axes: Axes | None
    args: dict[str, ArgDecl]
    defaults: dict[str, OpDefaults]
    naming: str
    blocks: dict[str, Block]
    net: SyntaxNode
    net_span: Span
    aux: tuple[AuxDecl, ...]
    outputs: tuple[tuple[str, Ref], ...] | None
    preprocess: Preprocess | None
    labels: tuple[str, ...] | None
    labels_span: Span | None
    claims: tuple[Claim, ...]
    variants: tuple[str, ...]
    has_defaults: bool = True
    """False if `defaults` has errors, so that no op is known."""
    problems: tuple[Diagnostic, ...] = ()
    """Errors of single nodes. `BrokenSyntax` replaces these nodes, so that elaboration can report all errors."""

    def symbols(self) -> dict[str, Value]:
        """Return the names of ops and blocks, whose values are the names themselves."""
        return {**{name: name for name in OPS_BY_NAME}, **{name: name for name in self.blocks}}

    def _explain_order(self, d: Diagnostic) -> Diagnostic:
        """Explain an unknown name in a default that is the name of a later argument."""
        later = d.code == "E0304" and d.span is not None and d.span.text in self.args
        return replace(d, help="a default can only use the arguments before it: move that argument up") if later else d

    def known_arguments(self, overrides: Mapping[str, Tree | Value] = {}) -> tuple[dict[str, Value], ArchError | None]:
        """Return the values of `args` that have no error, and the errors (E0308) of the others; None if there are none.

        A default can use earlier arguments. Raises E0212 for an override of an argument that does not exist.
        """
        unknown = [name for name in overrides if name not in self.args]
        if unknown:
            over = overrides[unknown[0]]
            raise error(
                "E0212",
                f"`{self.name}` has no argument `{unknown[0]}`",
                over.span if isinstance(over, (Scalar, Seq, Map)) else None,
                help=did_you_mean(unknown[0], self.args)
                or f"the spec has no arguments: add `args: {{{unknown[0]}: ...}}`, and use `{unknown[0]}` in a node",
            )
        values: dict[str, Value] = {}
        env = Env(values, Env(self.symbols()))
        report = Report()
        wrong: set[str] = set()
        with suppress(TooManyErrors):
            for name, decl in self.args.items():
                if name not in overrides and not wrong.isdisjoint(decl.default.names):
                    wrong.add(name)
                try:
                    values[name] = _argument(decl, overrides.get(name), name in overrides, env)
                except ArchError as e:
                    report.extend(map(self._explain_order, e.diagnostics))
                    values[name] = 1  # later defaults may use it
                    wrong.add(name)
        known = {name: value for name, value in values.items() if name not in wrong}
        return known, ArchError(report.diagnostics()) if report.failed else None


def _argument(decl: ArgDecl, over: Tree | Value, overridden: bool, env: Env) -> Value:
    default = decl.default.evaluate(env)
    type_name = decl.type or _type_name(default)
    value, span = default, decl.default.span
    if overridden:
        if isinstance(over, (Scalar, Seq, Map)):
            value, span = written(over).evaluate(env), over.span
        else:
            value = frozen(over)
    if _type_name(value) != type_name and not (type_name == "float" and _type_name(value) == "int"):
        raise error(
            "E0308",
            f"the argument `{decl.name}` must be {_type_text(type_name)}, not {show(value)}",
            span,
            labels=(Label(decl.span, f"its default is {show(default)}"),) if overridden else (),
        )
    if decl.scale and not _is_scalable(value):
        raise error("E0308", f"`scale: {decl.scale}` is for a number or a list of numbers, not for {show(value)}", span)
    number = float(value) if type_name in ("int", "float") else 0.0  # type: ignore[arg-type]
    for limit, bad, word in (
        (decl.least, number < (decl.least or 0), "least"),
        (decl.most, number > (decl.most or 0), "most"),
    ):
        if limit is not None and bad and type_name in ("int", "float"):
            raise error("E0308", f"the argument `{decl.name}` must be at {word} {limit:g}, not {show(value)}", span)
    return value


def _is_scalable(value: Value) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_scalable, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _type_name(value: Value) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, str):
        return "name"
    return "list" if isinstance(value, tuple) else "none" if value is None else "float"


def _type_text(type_name: str) -> str:
    return {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "name": "the name of an op or a block",
        "list": "a list",
        "none": "none",
    }[type_name]
