"""Names the merge that is meant where the names of nodes are written as ops: `a * b`, `concat: [a, b]`."""

from __future__ import annotations

import re

from archdsl.diagnostics import Fix, Span, error, replacing
from archdsl.elaborate.place import Context, VisibleNames
from archdsl.language.syntax import CallSyntax, SyntaxNode
from archdsl.ops import OPS_BY_NAME


def merge_of(name: str, span: Span) -> tuple[str, tuple[Fix, ...]]:
    """The help for a node that is written as an op, and the fix if it is in a list below the name of a merge."""
    start = span.start - len(span.before)
    for merge in re.finditer(r"\b(\w+): *\[([\w., ]+,[\w., ]+)\]", span.source.text[start : start + 1_000]):
        op = OPS_BY_NAME.get(merge[1])
        if op is not None and op.arity[1] is None and start + merge.start(2) <= span.start < start + merge.end(2):
            write = f"{merge[1]} <- {', '.join(part.strip() for part in merge[2].split(','))}"
            place = Span(span.source, start + merge.start(2) - 1, start + merge.end())
            return f"write `{write}`", _written(place, write)
    return f"to read it, write `<- {name}` after an op; to run it once more, write `again {name}`", ()


def check_product(syntax: SyntaxNode, ctx: Context) -> None:
    """Raises E0318 for `a * b` if both are nodes: it reads as a repeat of `b`."""
    if not isinstance(syntax, CallSyntax) or syntax.repeat is None or syntax.call.args:
        return
    left, right = syntax.repeat.span, syntax.call.name
    if all(is_node(name, ctx.frame) or name == "input" for name in (left.text, right)):
        place, write = left.to(syntax.call.span), f"mul <- {left.text}, {right}"
        what = f"`{left.text} * {right}` is not the notation of a spec"
        raise error("E0318", what, place, help=f"write `{write}`", fixes=_written(place, write))


def is_node(name: str, frame: VisibleNames | None) -> bool:
    """Whether a name is that of an earlier node."""
    while frame is not None:
        if name in frame.names and name != "input":
            return True
        frame = frame.parent
    return False


def _written(place: Span, node: str) -> tuple[Fix, ...]:
    """The fix that writes a node, in quotes inside brackets."""
    from archdsl.language.format.yaml_writer import plain_or_quoted

    text = plain_or_quoted(node, flow=any(char in place.before for char in "[{"))
    return (replacing(place, text, safe=True),)
