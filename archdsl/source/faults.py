"""Errors in valid YAML: deep nesting, tags, and values that flow style splits."""

from __future__ import annotations

import re

from archdsl.diagnostics import ArchError, Edit, Fix, Label, Proposal, Source, Span, error, replacing
from archdsl.source.brackets import balanced
from archdsl.source.limits import MAX_DEPTH
from archdsl.source.tree import Entry, Scalar


def quote_help(text: str = "f(1, 2)", part: bool = False, listed: bool = True) -> str:
    """The help for a text that YAML splits; `part` if the text is only a part of the value, `listed` if in a list."""
    text = text if len(text) <= 40 and text.isprintable() and '"' not in text else "f(1, 2)"
    if part:
        return f'quote the whole value: "... {text} ...", or use block style, one value per line'
    style = f"`- - {text}` is a list in a list" if listed else "one `key: value` per line"
    return f'quote it: "{text}", or use block style, which needs no quotes: {style}'


def reading(text: str) -> str:
    """Return the mapping that `[gap, fc 10] <- stem` means; empty for another text, or for several inputs."""
    match = re.fullmatch(r"\s*([\[{].*[\]}])\s*<-\s*([\w.-]+)\s*", text)
    if match is None:
        return ""
    headed = re.match(r"\{\s*(?:do|residual|inception|branches|dense|op|call)\s*:", match[1])
    return f"{match[1][:-1].rstrip()}, from: {match[2]}}}" if headed else f"{{do: {match[1]}, from: {match[2]}}}"


def too_deep(span: Span) -> ArchError:
    return error("E0106", f"nested deeper than {MAX_DEPTH} levels", span)


def tag_error(span: Span) -> ArchError:
    help_ = Proposal("remove it, or quote the value if the `!` belongs to it", "")
    note = "archdsl never executes a tag"
    return error(
        "E0103", f"YAML tags such as `{span.text}` are not allowed", span, notes=(note,), help=Proposal(help_, "")
    )


def short(text: str) -> str:
    """Shorten a text to at most 80 characters."""
    return text if len(text) <= 80 else text[:77] + "..."


def word_span(source: Source, at: int) -> Span:
    """Return the span from `at` to white space or a comma; at least one, at most 80 characters."""
    match = re.compile(r"[^\s,]{1,80}").match(source.text, at)
    return Span(source, at, match.end() if match else min(at + 1, len(source.text)))


# --- flow style --------------------------------------------------------------------------------------------


def unbalanced(node: Scalar) -> ArchError:
    """E0113 for `[f(1, 2)]`, where the scalar is `f(1` and the rest of the value follows the comma."""
    text, start = node.span.source.text, node.span.start
    line_end = text.find("\n", start)
    rest = text[start : min(len(text) if line_end < 0 else line_end, start + 400)]
    ends = [at for at in range(len(node.text), len(rest)) if rest[at] == ")" and balanced(rest[: at + 1])]
    if ends and "," in rest[: ends[0]]:
        span = Span(node.span.source, start, start + ends[0] + 1)
        help_, message = quote_help(span.text), f"inside brackets YAML splits `{span.text}` at its comma"
        return error("E0113", message, span, help=help_, fixes=_quoting(span))
    message = f"the parentheses of `{short(node.text)}` do not match; YAML splits at every comma inside brackets"
    return error("E0113", message, node.span, help=quote_help())


def key_twice(key: Scalar, first: Scalar) -> ArchError:
    return error(
        "E0102",
        f"the key `{short(key.text)}` appears twice",
        key.span,
        label="used again here",
        labels=(Label(first.span, "first used here"),),
        help="rename one of them, or remove it",
        fixes=_removing_copy(key.span, first.span),
    )


def _removing_copy(key: Span, first: Span) -> tuple[Fix, ...]:
    """The fix that removes an entry in one line that is a copy of an earlier line."""
    source = key.source
    again, line = source.line_text(key.line), source.line_text(first.line)
    if key.line == first.line or again != line or again[key.column - 1 :] != again.strip() or again.endswith(":"):
        return ()
    start = key.start - key.column + 1
    end = source.line_starts[key.line] if key.line < len(source.line_starts) else len(source.text)
    return (Fix(f"remove the copy of line {first.line}", (Edit(Span(source, start, end), ""),), safe=True),)


def _quoting(span: Span) -> tuple[Fix, ...]:
    """The fix that quotes a value of one line."""
    if '"' in span.text or "\\" in span.text or "\n" in span.text:
        return ()
    return (replacing(span, f'"{span.text}"', safe=True),)


def missing_value(key: Scalar, value: Span, entries: dict[str, Entry]) -> ArchError:
    """E0113 for a key without a value inside `{}`; `entries` are those before it."""
    if ":" in key.span.source.text[key.span.end : value.start]:
        message, help_ = f"the key `{short(key.text)}` has no value", "write `null`, or remove the key"
    else:
        message = f"`{short(key.text)}` has no value: inside `{{}}` every part between commas is `key: value`"
        whole = _split_value(key, entries)
        help_ = quote_help(whole.text if whole else "add <- a, b", listed=False)
        return error("E0113", message, key.span, help=help_, fixes=_quoting(whole) if whole else ())
    return error("E0113", message, key.span, help=help_)


def _split_value(key: Scalar, entries: dict[str, Entry]) -> Span | None:
    """The value that YAML split: that of the entry before `key`, with all parts after it that have no `:`."""
    last = next(reversed(entries.values()), None)
    if last is None or not isinstance(last.value, Scalar) or not last.value.plain:
        return None
    start, text = last.value.span.start, key.span.source.text
    rest = re.compile(r"(?:\s{0,9},\s{0,9}[^\s,:{}\[\]]{1,40}(?=\s{0,9}[,}]))*").match(text, last.value.span.end)
    return Span(key.span.source, start, rest.end()) if rest is not None and rest.end() >= key.span.end else None
