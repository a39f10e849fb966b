"""Turns the written fields of a node into validated ops: applies defaults, evaluates expressions, validates values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import inf
from typing import Any, NamedTuple

from pydantic import ValidationError

from archdsl.axes import IMAGE, Kind, axes_of, kind_of
from archdsl.diagnostics import ArchError, Diagnostic, Proposal, Span, closest, did_you_mean, error
from archdsl.elaborate.spread import spread
from archdsl.language.document import Document, OpDefaults
from archdsl.language.expressions import Env, Value, show
from archdsl.language.expressions.values import floor_help
from archdsl.language.hints import words_of
from archdsl.language.syntax import FieldValue, NormOrAct, OpSyntax
from archdsl.language.validate import pydantic_message
from archdsl.ops import OPS_BY_NAME, Conv, Deconv, DwConv
from archdsl.ops.base import LARGEST, Op
from archdsl.shapes import Shape

OTHER_MEANING = ("stride", "pad")
"""Fields of `deconv` that mean something else than those of `conv`."""
_PLAIN_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?$")


class Parts(NamedTuple):
    """The ops of one written node, and the fields in its own text and under `defaults`."""

    main: Op
    norm: Op | None
    act: Op | None
    written: Mapping[str, FieldValue]

    def span(self, field: str, fallback: Span) -> Span:
        """Return the span of a field, or `fallback` if it is written nowhere."""
        return self.written[field].span if field in self.written else fallback


class _DefaultedOp(NamedTuple):
    """A node with its defaults applied, the same for every copy."""

    fields: dict[str, FieldValue]
    norm: NormOrAct | None
    act: NormOrAct | None
    constant: bool


@dataclass
class OpMaker:
    """Makes the ops of nodes, each distinct op once."""

    defaults: Mapping[str, OpDefaults]
    document: Document | None = None
    """The spec whose `axes` the windows follow."""
    has_defaults: bool = True
    """False if the defaults have errors, which are reported already: no op can be made."""
    plans: dict[int, _DefaultedOp] = field(default_factory=dict)
    constant_parts: dict[int, Parts] = field(default_factory=dict)
    ops: dict[object, Op] = field(default_factory=dict)
    """Ops by their fields: a spec repeats the same op many times, and validation takes most of the time."""
    applied: set[tuple[str, str]] = field(default_factory=set)
    """Ops of the network, and the fields that a default can set in at least one of them."""
    keep: list[OpSyntax] = field(default_factory=list)
    """The nodes whose ids are keys above: an id is only unique while its object is alive."""

    def parts(self, syntax: OpSyntax, env: Env, shape: Shape | None = None) -> Parts:
        """Return the ops of a node, whose input has this shape if known. Raises E0305 to E0308, E0311, E0315."""
        cached = self.constant_parts.get(id(syntax))
        if cached is not None:
            return cached
        plan = self.plans.get(id(syntax)) or self._plan(syntax)
        norm = self._part(plan.norm, "norm", env)
        act = self._part(plan.act, "act", env)
        fields = plan.fields
        values = {name: _evaluate(syntax.op, name, w, env) for name, w in fields.items()}
        _apply_form(syntax, values)
        self.applied.update((syntax.op.name, name) for name in values)
        if "bias" in syntax.op.model_fields and "bias" not in values:
            values["bias"] = norm is None
        kind = kind_of(shape) if shape is not None and axes_of(shape) else IMAGE
        parts = Parts(self._make(syntax.op, values, fields, syntax.span, kind), norm, act, fields)
        if plan.constant:
            self.constant_parts[id(syntax)] = parts
        return parts

    def _plan(self, syntax: OpSyntax) -> _DefaultedOp:
        if not self.has_defaults:
            raise ArchError(())
        under = self.under(syntax.op)
        self.applied.add((syntax.op.name, ""))
        fields = syntax.fields
        if under.fields:
            known = syntax.op.model_fields
            fields = {k: w._replace(default=True) for k, w in under.fields.items() if k in known} | dict(syntax.fields)
        norm, act = syntax.norm or under.norm, syntax.act or under.act
        constant = not any(w.names for w in fields.values())
        for part in (norm, act):
            if part is not None:
                # The name of an op is a constant.
                named = part.name.names - frozenset(OPS_BY_NAME)
                constant = constant and not named and not any(w.names for w in part.fields.values())
        plan = _DefaultedOp(fields, norm, act, constant)
        if not constant:  # a constant op is made once
            self.plans[id(syntax)] = plan
        self.keep.append(syntax)
        return plan

    def under(self, op: type[Op]) -> OpDefaults:
        """Return the defaults of an op; `dwconv` and `deconv` also use those of `conv`."""
        own = self.defaults.get(op.name, OpDefaults())
        if op not in (DwConv, Deconv):
            return own
        conv = self.defaults.get(Conv.name, OpDefaults())
        other = OTHER_MEANING if op is Deconv else ()
        fields = {name: value for name, value in conv.fields.items() if name not in other}
        return OpDefaults({**fields, **own.fields}, own.norm or conv.norm, own.act or conv.act)

    def _part(self, part: NormOrAct | None, role: str, env: Env) -> Op | None:
        if part is None:
            return None
        name = part.name.evaluate(env)
        if name is None:
            return None
        if not isinstance(name, str) or name not in OPS_BY_NAME or OPS_BY_NAME[name].role != role:
            known = [k for k, o in OPS_BY_NAME.items() if o.role == role]
            raise error(
                "E0301",
                f"`{role}` is {show(name)}, which is not {'a norm' if role == 'norm' else 'an activation'}",
                part.name.span,
                help=did_you_mean(name if isinstance(name, str) else "", known),
            )
        op = OPS_BY_NAME[name]
        self.applied.update(((name, ""), *((name, field) for field in op.model_fields)))
        fields = {**self.defaults.get(name, OpDefaults()).fields, **part.fields}
        return self._make(op, {k: w.evaluate(env) for k, w in fields.items()}, fields, part.name.span)

    def _make(
        self,
        op: type[Op],
        values: Mapping[str, Value],
        fields: Mapping[str, FieldValue],
        span: Span,
        kind: Kind = IMAGE,
    ) -> Op:
        data = {name: _number(value, fields.get(name)) for name, value in values.items()}
        key = (op, tuple((name, _mark(value)) for name, value in data.items()))
        cached = self.ops.get(key)
        if cached is None:
            if self.document is not None:
                data = spread(op, data, fields, span, self.document)
            cached = self.ops[key] = make(op, data, fields, span, kind)
        return cached

    def projection(self, span: Span, op: type[Op], fields: dict[str, FieldValue]) -> OpSyntax:
        """Return the implied 1x1 convolution of a shortcut, with the defaults of `conv` but no activation."""
        from archdsl.language import expressions

        return OpSyntax(
            span=span, op=op, fields=fields, act=NormOrAct(FieldValue(span, expressions.literal(None, span)))
        )


def _apply_form(syntax: OpSyntax, values: dict[str, Value]) -> None:
    """Remove defaults that the form of an op excludes: an adaptive pool has no stride."""
    for form, names in syntax.op.excludes.items():
        written = [name for name in names if name in syntax.fields]
        if form not in syntax.fields and written:
            values.pop(form, None)
        elif values.get(form):
            for name in names:
                if name not in written:
                    values.pop(name, None)


def _mark(value: Any) -> object:
    """The value and its type, as 1, 1.0 and true are equal in Python."""
    return tuple(map(_mark, value)) if isinstance(value, tuple) else (type(value), value)


def make(op: type[Op], data: Mapping[str, Any], fields: Mapping[str, FieldValue], span: Span, kind: Kind = IMAGE) -> Op:
    """Return a validated op. Raises E0308 (invalid value), E0311 (missing value) or E0315 (not a whole number).

    An example of an op with the missing value is for an input of this kind.
    """
    if not data and not op.model_fields:
        return op.model_construct()  # nothing to validate: avoids building the validator
    try:
        return op.model_validate(data)
    except ValidationError as e:
        errors: dict[str, list[Any]] = {}
        for item in e.errors(include_url=False):
            errors.setdefault(str(item["loc"][0]), []).append(item)
        missing = [name for name, items in errors.items() if items[0]["type"] == "missing"]
        wrong = [_invalid(op, name, items, data, fields, span) for name, items in errors.items() if name not in missing]
        raise ArchError([*wrong, *([_missing(op, missing, fields, span, kind)] if missing else [])]) from None


def _overflows(value: Any) -> bool:
    """Whether a number, or one of a list, is finite but too large for float32."""
    if isinstance(value, tuple):
        return any(map(_overflows, value))
    return isinstance(value, float) and LARGEST < abs(value) < inf


def _number(value: Value, at: FieldValue | None) -> Any:
    """A computed whole number as an int, a fraction as a float; `3.0` as written stays a float."""
    if isinstance(value, tuple):
        items = at.items if at is not None and at.items else ()
        return tuple(_number(v, items[n] if n < len(items) else None) for n, v in enumerate(value))
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        literal = at is None or at.expr is None or _PLAIN_NUMBER.match(at.span.text)
        return value if literal else int(value)
    return value


def _evaluate(op: type[Op], name: str, written: FieldValue, env: Env) -> Value:
    """The value of a field. The help for an unknown name suggests the words of the field (`same`), but no ops."""
    try:
        return written.evaluate(env)
    except ArchError as e:
        (d, *_) = e.diagnostics or (None,)
        if d is None or d.code != "E0304" or d.span != written.span or d.span.text in ("i", "first", "last"):
            raise
        roles = [k for k, o in OPS_BY_NAME.items() if o.role] if name in op.positional else []
        near = closest(d.span.text, [*words_of(op, name), *env.own, *roles])
        known = "" if d.help.startswith("did") else f"{d.help}\n"
        about = f"{name}: {op.model_fields[name].description}"
        raise ArchError(replace(d, help=f"did you mean `{near}`?" if near else known + about)) from None


def _missing(op: type[Op], names: list[str], fields: Mapping[str, FieldValue], span: Span, kind: Kind) -> Diagnostic:
    about = "; ".join(f"{name}: {op.model_fields[name].description}" for name in names)
    window = [kind.window(3)] if "kernel" in op.model_fields and op.model_fields["kernel"].is_required() else []
    needed = [name for name in op.positional if op.model_fields[name].is_required()]
    values = {"out": "64", **dict.fromkeys(op.references, "conv1")}
    size = fields["kernel"].span.text if "kernel" in fields else ""
    if re.fullmatch(rf"[0-9]+(x[0-9]+){{{len(kind.letters) - 1}}}", size):
        window = [size] if window else []
    if "out" in names and size.isdigit():
        about = f"`{size}` is the window, and the {op.model_fields['out'].description} goes after the op"
    texts = {name: fields[name].span.text for name in needed if name in fields and name not in names}
    values |= {name: text for name, text in texts.items() if re.fullmatch(r"\w+", text)}
    words = {field: word for word, (field, _) in reversed(op.flags.items())}
    given = [values.get(name, "2") for name in needed]
    example = " ".join([*window, op.name, *given, *(words[name] for name in names if name in words)])
    return Diagnostic(
        "E0311",
        f"`{op.name}` needs {' and '.join(f'`{name}`' for name in names)}",
        span,
        help=f"e.g. `{example}`; {about}",
    )


def _invalid(
    op: type[Op], name: str, items: list[Any], data: Mapping[str, Any], fields: Mapping[str, FieldValue], span: Span
) -> Diagnostic:
    info = op.model_fields.get(name)
    about = f"{name}: {info.description}" if info is not None and info.description else ""
    where = fields[name].span if name in fields else span
    value = data.get(name)
    items = [item for item in items if item["type"] != "too_short"] or items  # a wrong item is not counted
    messages = {pydantic_message(item): item["type"] for item in items}
    types = {*messages.values()} - {"literal_error"}  # `pad` may also be a word
    if isinstance(value, float) and types and types <= {"int_type", "int_from_float", "tuple_type"}:
        written = where.text
        plain = _PLAIN_NUMBER.match(written)
        came = f", not {value!r}" if plain else f": `{written}` is {value:g}"
        return Diagnostic(
            "E0315",
            f"`{name}` of `{op.name}` must be a whole number{came}",
            where,
            help=about if plain else floor_help(written, f"; {about}"),
        )
    if _overflows(value):
        message = f"is larger than the largest float32 number, {LARGEST:.2g}"
        return Diagnostic("E0308", f"`{name}` of `{op.name}` {message}", where, help=about)
    # For a field with several forms, pydantic has an error for each; the description is clearer.
    message = (
        f"cannot be {show(value)}" if len(messages) > 1 or "tuple_type" in messages.values() else next(iter(messages))
    )
    if name == "p" and isinstance(value, (int, float)) and 1 < value < 100:  # a percentage
        about = Proposal(f"write `{value / 100:g}`; {about}", f"{value / 100:g}")
    return Diagnostic("E0308", f"`{name}` of `{op.name}` {message}", where, help=about)
