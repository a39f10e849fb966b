"""Reads the small sections of a spec: args, defaults, block signatures, inputs, preprocessing, claims, labels."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from archdsl.axes import KINDS, MOST
from archdsl.diagnostics import Label, Proposal, Source, Span, did_you_mean, error, escape_control
from archdsl.language import expressions
from archdsl.language.document import ArgDecl, Axes, BlockParam, Claim, InputDecl, InputSize, OpDefaults
from archdsl.language.keys import TASKS
from archdsl.language.names import check_argument
from archdsl.language.read_nodes import op_fields, part, written
from archdsl.language.section_models import ArgForm, Preprocess
from archdsl.language.shorthand import desugar_defaults, pieces
from archdsl.language.validate import plain, validate
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Entry, Map, Scalar, Seq, Tree
from archdsl.source.brackets import outside

MAX_LABELS_BYTES = 1 << 20

_SIGNATURE = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*(?:<-\s*(.+))?$", re.ASCII | re.DOTALL)
_SIZES = re.compile(r"\d{1,18}(x\d{1,18})*$", re.ASCII)
_SYMBOL = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.+)$", re.ASCII)
_PUBLISHED = re.compile(r"\d[\d,_]*(\.\d+)?\s*[kKMGTB%]?$", re.ASCII)


def text_of(tree: Tree | None) -> str:
    """Return the text of a scalar. Raises E0202 for a list or mapping."""
    if not isinstance(tree, Scalar):
        raise error("E0202", "expected a string", tree.span if tree is not None else None)
    return tree.text


def read_family(tree: Tree) -> str:
    """Return the value of `family`. Raises E0202."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", text := text_of(tree)):
        raise error("E0202", "`family` must be a name", tree.span, help="e.g. resnet")
    return text


def read_task(tree: Tree) -> str:
    """Return the value of `task`. Raises E0202."""
    if (text := text_of(tree)) not in TASKS:
        help_ = did_you_mean(text, TASKS) or f"one of: {', '.join(TASKS)}"
        raise error("E0202", "`task` must be what the network is for", tree.span, help=help_)
    return text


def family_of(name: str) -> str:
    """Return the default family of a network: `resnet` of `resnet50`, `mobilenet` of `mobilenet_v2`."""
    letters = re.match(r"[A-Za-z]+", name)
    return letters[0] if letters else name


def read_arg(name: str, entry: Entry) -> ArgDecl:
    """Read one of `args`: a default, or a mapping with limits. Raises E0201 to E0203, E0303, E0501, E0502."""
    check_argument(name, entry.key)
    value = entry.value
    if not isinstance(value, Map):
        return ArgDecl(name, written(value), None, None, None, entry.key.span)
    form = validate(ArgForm, value, f"args.{name}")
    default = value.get("default")
    assert default is not None
    return ArgDecl(name, written(default), form.type, form.min, form.max, entry.key.span, form.scale)


def read_defaults(name: str, tree: Tree, names: Collection[str] | None) -> OpDefaults:
    """Read the defaults of the op `name`, whose expressions can use `names`; None if they are not known.

    Raises E0202, E0301, E0302, E0304, E0309, E0310, E0319.
    """
    op = OPS_BY_NAME[name]
    if isinstance(tree, Scalar):
        if tree.value is None or isinstance(tree.value, bool):
            raise error("E0202", f"expected the defaults of `{name}`, e.g. `bn relu`", tree.span)
        tree = desugar_defaults(tree, op, names)
    if not isinstance(tree, Map):
        words = " ".join(item.text for item in tree.items if isinstance(item, Scalar))
        help_ = Proposal(f"write `{words}`", words) if words else ""
        raise error("E0202", f"the defaults of `{name}` must be a string or a mapping", tree.span, help=help_)
    own = {k: e for k, e in tree.entries.items() if k not in ("norm", "act")}
    fields = op_fields(op, {k: e.value for k, e in own.items()}, {k: e.key.span for k, e in own.items()})
    defaults = OpDefaults(fields, part(tree, "norm"), part(tree, "act"))
    for value in defaults.values() if names is not None else ():
        for unknown in sorted(value.names - {*(names or ()), *OPS_BY_NAME}):
            raise error(
                "E0304",
                f"unknown name `{unknown[:60]}`",
                value.span,
                help=did_you_mean(unknown, [*(names or ()), *OPS_BY_NAME]),
            )
    return defaults


# --- block signatures ------------------------------------------------------------------------------------


def read_signature(scalar: Scalar) -> tuple[str, tuple[BlockParam, ...], tuple[str, ...]]:
    """Read `up(c, s=1) <- x, skip` into name, arguments and inputs. Raises E0210, E0303, E0501, E0502."""
    match = _SIGNATURE.match(scalar.text)
    if not match:
        raise error(
            "E0210",
            f"`{scalar.text[:80]}` is not a valid block signature",
            scalar.span,
            help=_signature_help(scalar.text),
        )
    name = check_argument(match[1], scalar.piece(*match.span(1)), "a block")
    params = _block_params(scalar, *match.span(2)) if match[2] and match[2].strip() else ()
    inputs: list[str] = []
    taken = {p.name: p.span for p in params}
    for where in pieces(scalar, *match.span(3)) if match[3] else ():
        inputs.append(_once(check_argument(where.text, where, "an input"), where.span, taken))
    return name, params, tuple(inputs)


def _signature_help(text: str) -> str:
    if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
        return "the parentheses do not match; write `name(arg, arg=default):`"
    if re.match(r"[A-Za-z][\w-]*-", text, re.ASCII):
        return "a block name cannot contain `-`: use letters, digits and `_`"
    return "write `name(arg, arg=default):`, or `name(arg) <- x, skip:` for several inputs"


def _once(name: str, span: Span, taken: dict[str, Span]) -> str:
    if name in taken:
        raise error(
            "E0210",
            f"`{name}` is declared twice in this block",
            span,
            labels=(Label(taken[name], "first declared here"),),
        )
    taken[name] = span
    return name


def _block_params(scalar: Scalar, start: int, end: int) -> tuple[BlockParam, ...]:
    """The arguments in `w, s=1, c=in`, split at commas outside of brackets."""
    out: list[BlockParam] = []
    taken: dict[str, Span] = {}
    begin, text = start, scalar.text
    for at in (start + comma for comma in outside(f"{text[start:end]},", ",", "([", ")]")):
        name, equals, _ = text[begin:at].partition("=")
        inner = begin + len(name) - len(name.lstrip())
        where = scalar.piece(inner, max(inner + len(name.strip()), inner))
        _once(check_argument(name.strip(), where), where.span, taken)
        default = expressions.parse(scalar, begin + len(name) + 1, at) if equals else None
        if default is None and out and out[-1].default is not None:
            raise error(
                "E0210",
                f"`{name.strip()}` has no default, but follows an argument with a default",
                where.span,
                help=f"move it to the front, or give it a default: `{name.strip()}=1`",
            )
        out.append(BlockParam(name.strip(), default, where.span))
        begin = at + 1
    if begin <= end:  # an open bracket contains the rest
        raise error("E0210", f"`{text[:80]}` is not a valid block signature", scalar.span, help=_signature_help(text))
    return tuple(out)


# --- inputs ----------------------------------------------------------------------------------------------


def read_inputs(tree: Tree) -> tuple[InputDecl, ...]:
    """Read `3x224x224`, `784`, `[3, H=224, W=224]`, or a mapping from names to these. Raises E0202."""
    if not isinstance(tree, Map):
        return (InputDecl(None, _input_sizes(tree), tree.span),)
    if not tree.entries:
        raise error("E0202", "`input` is empty", tree.span)
    if "channels" in tree.entries or "c" in tree.entries:
        from archdsl.language.foreign.sections import input_of_fields

        if help_ := input_of_fields(tree):
            raise error("E0202", "these are the sizes of one input, and not several inputs", tree.span, help=help_)
    out = []
    for name, entry in tree.entries.items():
        check_argument(name, entry.key, "an input")
        out.append(InputDecl(name, _input_sizes(entry.value), entry.value.span))
    return tuple(out)


def read_axes(tree: Tree) -> Axes:
    """Read `axes: 3`. Raises E0202."""
    value = tree.value if isinstance(tree, Scalar) else None
    if type(value) is not int or not 1 <= value <= MOST:
        listed = ", ".join(f"{n} ({kind.bare}s)" for n, kind in enumerate(KINDS) if n)
        raise error("E0202", f"`axes` must be a number from 1 to {MOST}", tree.span, help=f"one of {listed}")
    return Axes(value, tree.span)


_BATCH = frozenset(("None", "null", "~", "-1", "?"))
"""Free sizes of other tools."""
_INPUT_HELP = (
    "write the channels, then the size of each axis: `12x5000` (a signal), `3x224x224` (an image), `1x96x96x96` (a "
    "volume), or one number for a vector"
)


def _input_sizes(tree: Tree) -> tuple[InputSize, ...]:
    if isinstance(tree, Scalar) and (type(tree.value) is int or _SIZES.match(tree.text)):
        pieces, at = [], 0
        for text in tree.text.split("x"):
            pieces.append(InputSize(expressions.literal(int(text), tree.part(at, at + len(text)))))
            at += len(text) + 1
        sizes = tuple(pieces)
    elif isinstance(tree, Seq) and not any(isinstance(item, Scalar) and item.text in _BATCH for item in tree.items):
        sizes = tuple(_input_size(item) for item in tree.items)
    else:
        raise error(
            "E0202",
            f"`{(text_of(tree) if isinstance(tree, Scalar) else tree.span.text)[:40]}` is not an input shape",
            tree.span,
            help=_input_help(tree),
        )
    if not 1 <= len(sizes) <= len(KINDS):
        raise error(
            "E0202",
            f"an input has its channels and up to {MOST} axes, not {len(sizes)} sizes",
            tree.span,
            help=_input_help(tree),
        )
    return sizes


def _input_help(tree: Tree) -> str:
    from archdsl.language.foreign.sections import input_help

    help_ = input_help(tree.span.text)
    if not help_:
        return _INPUT_HELP
    sizes = help_.split("`")[1]
    return Proposal(help_, sizes, safe="".join(tree.span.text.split()) == sizes)


def _input_size(tree: Tree) -> InputSize:
    if isinstance(tree, Scalar) and isinstance(tree.value, str):
        match = _SYMBOL.match(tree.text)
        if match:
            return InputSize(
                expressions.parse(tree, match.start(2)), check_argument(match[1], tree.piece(*match.span(1)), "a size")
            )
    expr = written(tree).expr
    if expr is None:
        raise error("E0202", "a size must be one number", tree.span)
    return InputSize(expr)


# --- preprocessing, claims, labels -----------------------------------------------------------------------


def read_preprocess(tree: Tree) -> Preprocess:
    """Read the name of a preset, or a mapping. Raises E0201, E0202."""
    if isinstance(tree, Scalar):
        preset = Preprocess.presets.get(tree.text)
        if preset is None:
            raise error(
                "E0202",
                f"unknown preprocessing `{tree.text[:40]}`",
                tree.span,
                help=did_you_mean(tree.text, Preprocess.presets),
            )
        return Preprocess(**preset)
    data = plain(tree)
    if isinstance(data, dict):
        for key in ("mean", "std"):
            if isinstance(data.get(key), (int, float)) and not isinstance(data[key], bool):
                data[key] = (data[key],)
    return validate(Preprocess, tree, "preprocess", data)


def check_keys(tree: Map, known: Collection[str], what: str) -> None:
    """Raises E0201 at the first unknown key."""
    for key, inner in tree.entries.items():
        if key not in known:
            raise error("E0201", f"`{key[:60]}` is not a key of {what}", inner.key.span, help=did_you_mean(key, known))


def read_claim(name: str, entry: Entry, source: str = "") -> Claim:
    """Read a claim; `source` is the default for a claim without a source. Raises E0201 to E0203."""
    value, note = entry.value, ""
    if isinstance(value, Map):
        check_keys(value, ("value", "source", "note"), "a claim")
        if value.get("value") is None:
            raise error("E0203", "a claim needs `value`", entry.key.span)
        source = text_of(value.get("source")) if value.get("source") is not None else source
        note = text_of(value.get("note")) if value.get("note") is not None else ""
        value = value.entries["value"].value
    text = text_of(value)
    if not _PUBLISHED.match(text):
        raise error("E0202", f"`{text[:40]}` is not a number", value.span, help="e.g. `138M`, `4.09G`, `25,557,032`")
    return Claim(name, text, source, note, value.span)


def read_labels(source: Source, name: str, span: Span) -> tuple[str, ...]:
    """Read one label per line from a file in the folder of the spec. Raises E0107, E0108, E0114, E0207."""
    if source.path is None:
        raise error("E0207", "a spec from standard input cannot have a labels file", span)
    folder = source.path.resolve().parent
    try:
        path = (folder / name).resolve()
        outside = Path(name).is_absolute() or folder not in path.parents or not path.is_file()
    except (OSError, ValueError):
        outside = True
    if outside:
        raise error("E0207", "the labels file must be in the folder of the spec", span)
    if path.stat().st_size > MAX_LABELS_BYTES:
        raise error("E0107", "the labels file is larger than 1 MiB", span)
    try:
        text = path.read_text(encoding="utf-8").removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as e:
        raise error("E0114", "cannot read the labels file as UTF-8 text", span) from e
    lines = tuple(line.strip() for line in text.split("\n") if line.strip())
    odd = next((number for number, line in enumerate(lines, 1) if escape_control(line) != line), None)
    if odd is not None:
        raise error("E0108", f"label {odd} contains a control character", span)
    return lines
