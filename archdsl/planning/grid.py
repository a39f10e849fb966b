"""The values of arguments that a sweep or a search tries: lists, and ranges such as `1..18` and `16..128/16`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from fractions import Fraction
from math import ceil, prod
from typing import NamedTuple, TypeAlias

from archdsl.diagnostics import did_you_mean, error
from archdsl.diagnostics.arguments import conflict
from archdsl.language.document import ArgDecl, Document
from archdsl.language.expressions import Env, Value, show
from archdsl.language.read_nodes import written
from archdsl.language.validate import frozen
from archdsl.spec.open import parse_overrides

Values: TypeAlias = Sequence[Value]
LIMIT, MOST = 10_000, 1_000_000
"""Settings that are counted by default, and at most."""
_NUMBER = r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{1,18})?)"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*(?:/\s*({_NUMBER})\s*)?", re.ASCII)


class Steps(NamedTuple):
    """Numbers in equal steps, `first + n * step`, which are floats."""

    first: Fraction
    step: Fraction
    number: int

    def values(self) -> tuple[float, ...]:
        return tuple(float(self.first + n * self.step) for n in range(self.number))


class Grid:
    """Every combination of the values of some arguments, for each input size; the last argument changes fastest.

    Raises E0911 for more than `limit` settings; nothing is built before.
    """

    def __init__(
        self, values: Mapping[str, range | Steps | Values], inputs: Sequence[str | None], limit: int = LIMIT
    ) -> None:
        sizes = {name: one.number if isinstance(one, Steps) else len(one) for name, one in values.items()}
        if len(inputs) > 1:
            sizes["input"] = len(inputs)
        self.size = prod(sizes.values())
        if self.size > limit:
            product = " x ".join(f"{size:,} of {name}" for name, size in sizes.items() if size > 1)
            help_ = "leave out values, or take larger steps: `1..64/8`" + (
                f"; `limit` can be raised to {MOST:,}" if self.size <= MOST else ""
            )
            message = f"{self.size:,} settings: {product}; the limit is {limit:,}"
            raise error("E0911", message, help=help_, status=2)
        self.values = {name: one.values() if isinstance(one, Steps) else one for name, one in values.items()}
        self.inputs = inputs

    def __iter__(self) -> Iterator[tuple[dict[str, Value], str | None]]:
        from itertools import product

        names = tuple(self.values)
        for input in self.inputs:
            for setting in product(*self.values.values()):
                yield dict(zip(names, setting, strict=True)), input


def values_of(document: Document, args: Mapping[str, object]) -> dict[str, range | Steps | Values]:
    """Return the values of each argument: of a text `1..18`, `16..128/16` or `a,b`, of a list, or of one value.

    Raises E0212 for an argument that the spec does not have, E0914 for an empty or wrong range, and the errors of a
    value that cannot be read.
    """
    _check_names(document, args)
    return {name: _values(document, name, given) for name, given in args.items()}


def _check_names(document: Document, names: Iterable[str]) -> None:
    for name in names:
        if name not in document.args:
            help_ = did_you_mean(name, document.args) or "the spec has no arguments"
            raise error("E0212", f"`{document.name}` has no argument `{name}`", help=help_, status=2)


def _values(document: Document, name: str, given: object) -> range | Steps | Values:
    if isinstance(given, range):
        return given if given else _refused(name, "the range is empty")
    if isinstance(given, str):
        items = list(split(given))
        if len(items) == 1 and (match := _RANGE.fullmatch(items[0])):
            return _range(name, items[0].strip(), *match.groups())
        if any(".." in item and not _RANGE.fullmatch(item) for item in items):
            _refused(name, f"`{given[:60]}` is no range of numbers")
        if any(not item.strip() for item in items):
            _refused(name, f"`{given[:60]}` has an empty value")
        if any(_RANGE.fullmatch(item) for item in items):
            parts = [_values(document, name, item) for item in items]
            if sum(one.number if isinstance(one, Steps) else len(one) for one in parts) > MOST:
                _refused(name, f"more than {MOST:,} values")
            return _distinct(v for part in parts for v in (part.values() if isinstance(part, Steps) else part))
        env = Env(document.symbols())
        trees = (parse_overrides({name: item})[name] for item in items)
        return _distinct(written(tree).evaluate(env) for tree in trees)
    values = frozen(plain_number(list(given) if isinstance(given, Set | Iterator) else given))
    if isinstance(values, tuple):
        return _distinct(values) or _refused(name, "the list of values is empty")
    return (values,)


def plain_number(value: object) -> object:
    """Return a number or a list of Python for one of NumPy or pandas; anything else as it is."""
    as_list = getattr(value, "tolist", None)
    return value if as_list is None else as_list()


def _distinct(values: Iterator[Value] | tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple({repr(value): value for value in values}.values())


def _range(name: str, text: str, first: str, last: str, step: str | None) -> range | Steps:
    if step is None and "." in first + last:
        _refused(name, f"`{text}` needs a step", f"write `{text}/0.1`")
    low, high, by = Fraction(first), Fraction(last), Fraction(step or 1)
    if by <= 0 or high < low:
        _refused(name, f"`{text}` has no values", "write the smaller number first, and a step above 0: `16..128/16`")
    count = int((high - low) // by) + 1
    if low.denominator == by.denominator == 1 and "." not in first + (step or ""):
        return range(int(low), int(low) + count * int(by), int(by))
    return Steps(low, by, count)


def _refused(name: str, message: str, help: str = "write values such as `1..18`, `16..128/16` or `16,32,64`") -> Values:
    raise error("E0914", f"values of `{name}`: {message}", help=help, status=2)


def split(text: str) -> Iterator[str]:
    """Yield the parts of a text between commas that are outside of brackets: `[3, 4], [2, 2]` has two."""
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


# --- the values that a search tries ----------------------------------------------------------------------

_WHOLE, _STEPS = 64, 16
"""Of a longer range of whole numbers, a search tries the multiples of 8; of other numbers, this many steps."""
_SET = re.compile(r"\s*([A-Za-z]\w*)\s*=(.*)", re.ASCII | re.DOTALL)


def searched(
    document: Document,
    over: str | Sequence[str] | Mapping[str, object],
    known: Mapping[str, Value],
    fixed: Collection[str] = (),
) -> dict[str, Values]:
    """Return the values of each argument of a search, smallest first.

    `over`: a text such as `"n=1..18,width"`, names, or values by name. A name without values has those from the `min`
    to the `max` of its declaration. `known` are the values of all arguments, `fixed` the names of those that are set.
    Raises as `values_of`; E0002 for an argument that is no number and has no values, E0003 for one that is set, E0911
    for too many values of one argument.
    """
    if not isinstance(over, Mapping):
        over = _named(document, over if isinstance(over, str) else ",".join(over))
    _check_names(document, over)
    for name in over:
        if name in fixed:
            raise conflict(f"`{name}` is set and searched", f"remove `{name}` from `args` or from `over`")
    given = values_of(document, {name: values for name, values in over.items() if values is not None})
    ranges = {name: given.get(name) or default_range(document.args[name], known[name]) for name in over}
    if not ranges:
        raise error("E0002", "`over` is empty: name at least one argument", status=2)
    return {name: _ascending(_listed(name, values)) for name, values in ranges.items()}


def _named(document: Document, text: str) -> dict[str, object]:
    """The values of each argument in a text such as `n=1..18,width=16,32,depth`."""
    out: dict[str, str | None] = {}
    last = ""
    for part in split(text):
        match, word = _SET.fullmatch(part), part.strip()
        if match is not None:
            last = match[1]
            if last in out:
                _refused(last, "they are set twice", f"write all values once: `{last}={out[last] or 'A'},B`")
            out[last] = match[2].strip()
        elif word in document.args or not last:
            last = word
            out[last] = None
        elif out[last] is None:
            _refused(last, f"`{word[:60]}` is no argument of the spec")
        else:
            out[last] = f"{out[last]},{part}"
    return dict(out)


def _listed(name: str, values: range | Steps | Values) -> Values:
    number = values.number if isinstance(values, Steps) else len(values)
    if number > MOST:
        raise error(
            "E0911",
            f"{number:,} values of `{name}`; the limit is {MOST:,}",
            help="take larger steps: `1..64/8`",
            status=2,
        )
    return values.values() if isinstance(values, Steps) else values


def default_range(decl: ArgDecl, default: Value) -> Values:
    """Return the values of an argument from its `min` to its `max`.

    Without a `min`, whole numbers begin at 1, others at half of the default; without a `max`, they end at 4 times the
    default, others at twice the default. Raises E0002 for an argument that is no number.
    """
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        message = f"`{decl.name}` has no range: its default is {show(default)}"
        raise error("E0002", message, status=2, help=f"give its values: `{decl.name}=A,B`")
    if isinstance(default, int) and decl.type != "float":
        first = 1 if decl.least is None else ceil(decl.least)
        last = max(4 * default, first) if decl.most is None else int(decl.most)
        return range(first, last + 1) if last - first < _WHOLE else range(-(-first // 8) * 8, last + 1, 8)
    least = default / 2 if decl.least is None else decl.least
    most = 2 * default if decl.most is None else decl.most
    return tuple(round(least + (most - least) * step / _STEPS, 6) for step in range(_STEPS + 1))


def words_of(values: Mapping[str, Values]) -> tuple[str, ...]:
    """Return the values that are names, such as `relu`."""
    lists = (many for many in values.values() if not isinstance(many, range))
    return tuple(dict.fromkeys(one for many in lists for one in many if isinstance(one, str)))


def _ascending(values: Values) -> Values:
    """Numbers and lists of numbers in ascending order; names, which have no order, as they are."""
    try:
        return values if isinstance(values, range) and values.step > 0 else tuple(sorted(values, key=_size))
    except TypeError:
        return values


def _size(value: Value) -> tuple[float, ...]:
    numbers = value if isinstance(value, tuple) else (value,)
    return (sum(numbers), *numbers)


def shown(values: Values) -> str:
    """Return values as text: `1, 2, 3 .. 18 (18 values)`."""
    if len(values) <= 5:
        return ", ".join(map(show, values))
    return f"{', '.join(map(show, values[:3]))} .. {show(values[-1])} ({len(values):,} values)"
