"""Merges a variant, or a spec with `extends`, into its base."""

from __future__ import annotations

from archdsl.diagnostics import Label, Span, did_you_mean, error
from archdsl.language.keys import TOP_LEVEL
from archdsl.language.overlay import overlay
from archdsl.source import Entry, Map

NOT_INHERITED = ("name", "claims", "variants", "extends")


def apply_variant(base: Map, name: str, span_name: str, requested_at: Span | None = None) -> Map:
    """Merge the variant `name` into the spec. Raises E0204 at `requested_at` if there is no such variant."""
    variants = base.get("variants")
    known = list(variants.entries) if isinstance(variants, Map) else []
    if not isinstance(variants, Map) or name not in variants.entries:
        defined_at = base.entries["variants"].key.span if known else None
        raise error(
            "E0204",
            f"`{span_name}` has no variant `{name[:60]}`",
            requested_at or defined_at,
            labels=(Label(defined_at, "its variants are defined here"),) if requested_at and defined_at else (),
            help=did_you_mean(name, known) if known else "the spec has no variants",
        )
    over = variants.entries[name].value
    if not isinstance(over, Map):
        raise error("E0202", f"the variant `{name}` must be a mapping of overrides", over.span)
    return overlay(_without_claims(base), with_bare_args(base, over))


def _without_claims(base: Map) -> Map:
    return Map({k: e for k, e in base.entries.items() if k not in ("claims", "name")}, base.span, base.flow)


def with_bare_args(base: Map, over: Map) -> Map:
    """Move bare arguments, as in `resnet18: {block: basic}`, under `args`. Raises E0201 for an unknown key."""
    args = base.get("args")
    known = list(args.entries) if isinstance(args, Map) else []
    entries: dict[str, Entry] = {}
    bare: dict[str, Entry] = {}
    for name, entry in over.entries.items():
        if name in TOP_LEVEL and name in known:
            raise error(
                "E0201",
                f"`{name}` is both an argument and a key of the spec",
                entry.key.span,
                labels=(Label(args.entries[name].key.span, "the argument"),) if isinstance(args, Map) else (),
                help="rename the argument",
            )
        if name in TOP_LEVEL:
            entries[name] = entry
        elif name in known:
            bare[name] = entry
        else:
            raise error(
                "E0201",
                f"`{name}` is neither a key of a spec nor an argument of this spec",
                entry.key.span,
                help=did_you_mean(name, [*known, *TOP_LEVEL]),
            )
    if not bare:
        return over
    written = entries.get("args")
    inner = dict(written.value.entries) if written and isinstance(written.value, Map) else {}
    first = next(iter(bare.values()))
    entries["args"] = Entry(first.key, Map({**inner, **bare}, over.span, over.flow))
    return Map(entries, over.span, over.flow)
