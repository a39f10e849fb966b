"""Print repeated constructors as comprehensions: `*[Bottleneck(256) for _ in range(5)]`, `Layer(64 + 32 * i)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from archdsl.backends.torch.layout import Doc, SourceGroup, flat
from archdsl.backends.torch.naming import quoted

SHORTEST_RUN = 3
_WIDEST = 80
"""Characters of a comprehension, which is written on one line."""

_WORDS = re.compile(r'"[^"]*"|[A-Za-z_]\w*|\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|(\d+)')


def compact(docs: Sequence[Doc]) -> list[Doc]:
    """Replace each run of three or more calls that are equal, or whose numbers grow evenly, by one comprehension."""
    texts = list(map(flat, docs))
    return _runs(docs, lambda start, end: _template(texts[start:end]))


def compact_named(names: Sequence[str], docs: Sequence[Doc]) -> list[Doc]:
    """Do the same as `compact` for pairs of a name and a call: `(f"layer{i + 1}", Layer(64 + 32 * i))`."""
    texts = list(map(flat, docs))

    def pair(start: int, end: int) -> str | None:
        key, template = _template(names[start:end], name=True), _template(texts[start:end])
        return f'(f"{key}", {template})' if key and template and "{" in key else None

    pairs = [SourceGroup("(", (quoted(name), doc)) for name, doc in zip(names, docs, strict=True)]
    return _runs(pairs, pair)


def _runs(docs: Sequence[Doc], pattern: Callable[[int, int], str | None]) -> list[Doc]:
    """Return the docs with a comprehension for each run, from left to right.

    `pattern` returns one text for the docs from start to end, or None.
    """
    out: list[Doc] = []
    start = 0
    while start < len(docs):
        end = start + 1
        while end < len(docs) and pattern(start, end + 1) is not None:
            end += 1
        template = pattern(start, end) if end - start >= SHORTEST_RUN else None
        line = f"*[{template} for {_index(template or '')} in range({end - start})]"
        if template is None or len(line) > _WIDEST:
            out.append(docs[start])
            start += 1
        else:
            out.append(line)
            start = end
    return out


def _index(template: str) -> str:
    return "i" if re.search(r"\bi\b", template) else "_"


def _template(texts: Sequence[str], name: bool = False) -> str | None:
    """Return one text that is equal to each of them for i = 0, 1, ...; None unless they differ only in integers that
    grow evenly."""
    if not name and (texts[0].startswith("nn.") or re.search(r"\bi\b", texts[0])):
        return None
    pieces, numbers = zip(*(_numbers(text, name) for text in texts), strict=True)
    if len(set(pieces)) != 1:
        return None
    written: str = pieces[0][0]
    for n, piece in enumerate(pieces[0][1:]):
        column = [row[n] for row in numbers]
        step = column[1] - column[0] if len(column) > 1 else 0
        if any(number != column[0] + step * place for place, number in enumerate(column)):
            return None
        # A sum is correct only without an operator beside it: between brackets, commas and `=`.
        alone = pieces[0][n].endswith(("(", ", ", "=")) and piece.startswith((")", ","))
        if step < 0 or (step and not name and not alone):
            return None
        number = _linear(column[0], step)
        written += (f"{{{number}}}" if name and step else number) + piece
    return written


def _numbers(text: str, name: bool) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the integers of a text, and the pieces around them."""
    pieces, numbers, end = [], [], 0
    for match in re.finditer(r"(\d+)", text) if name else _WORDS.finditer(text):
        if match[1] is not None and str(int(match[1])) == match[1]:
            pieces.append(text[end : match.start()])
            numbers.append(int(match[1]))
            end = match.end()
    return (*pieces, text[end:]), tuple(numbers)


def _linear(start: int, step: int) -> str:
    if not step:
        return str(start)
    factor = "i" if step == 1 else f"{step} * i"
    return factor if not start else f"i + {start}" if step == 1 else f"{start} + {factor}"
