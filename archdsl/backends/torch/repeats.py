"""Print repeated constructors as comprehensions: `*[Bottleneck(256) for _ in range(5)]`, `Layer(64 + 32 * i)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from archdsl.backends.torch.layout import Doc, SourceGroup, flat
from archdsl.backends.torch.naming import quoted

SHORTEST_RUN = 3
_WIDEST = 80
"""Characters of a comprehension, which is written on one line."""

_WORDS = re.compile(r'"[^"]*"|[A-Za-z_]\w*|\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|(\d+)')


def compact(docs: Sequence[Doc]) -> list[Doc]:
    """Replace each run of three or more calls that are equal, or whose numbers grow evenly, by one comprehension."""
    texts = list(map(flat, docs))
    return _runs(docs, lambda rows: _template([texts[n] for n in rows], rows))


def compact_named(names: Sequence[str], docs: Sequence[Doc]) -> list[Doc]:
    """Do the same as `compact` for pairs of a name and a call: `(f"layer{i + 1}", Layer(64 + 32 * i))`."""
    texts = list(map(flat, docs))

    def pair(rows: Sequence[int]) -> str | None:
        key = _template([names[n] for n in rows], rows, name=True)
        template = _template([texts[n] for n in rows], rows)
        return f'(f"{key}", {template})' if key and template and "{" in key else None

    pairs = [SourceGroup("(", (quoted(name), doc)) for name, doc in zip(names, docs, strict=True)]
    return _runs(pairs, pair)


def _runs(docs: Sequence[Doc], pattern: Callable[[Sequence[int]], str | None]) -> list[Doc]:
    """Return the docs with a comprehension for each run, from left to right.

    `pattern` returns one text for the docs of these indices, or None.
    """
    out: list[Doc] = []
    start = 0
    while start < len(docs):
        end = start + 2
        template = pattern((start, start + 1)) if end <= len(docs) else None
        # Two docs decide on the text; each further one must fit them.
        while template is not None and end < len(docs) and pattern((start, start + 1, end)) is not None:
            end += 1
        line = f"*[{template} for {_index(template or '')} in range({end - start})]"
        if template is None or end - start < SHORTEST_RUN or len(line) > _WIDEST:
            out.append(docs[start])
            start += 1
        else:
            out.append(line)
            start = end
    return out


def _index(template: str) -> str:
    return "i" if re.search(r"\bi\b", template) else "_"


def _template(texts: Sequence[str], rows: Sequence[int], name: bool = False) -> str | None:
    """Return one text that is equal to each of them for i = 0, 1, and so on from the first of their rows; None unless
    they differ only in integers that grow evenly."""
    if not name and (texts[0].startswith("nn.") or re.search(r"\bi\b", texts[0])):
        return None
    pieces, numbers = zip(*(_numbers(text, name) for text in texts), strict=True)
    if len(set(pieces)) != 1:
        return None
    written: str = pieces[0][0]
    for n, piece in enumerate(pieces[0][1:]):
        column = [row[n] for row in numbers]
        step = column[1] - column[0]
        if any(number != column[0] + step * (row - rows[0]) for row, number in zip(rows, column, strict=True)):
            return None
        # A sum is correct only without an operator beside it: between brackets, commas and `=`.
        alone = pieces[0][n].endswith(("(", ", ", "=")) and piece.startswith((")", ","))
        if step < 0 or (step and not name and not alone):
            return None
        number = _linear(column[0], step)
        written += (f"{{{number}}}" if name and step else number) + piece
    return written


@lru_cache(maxsize=1024)
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
