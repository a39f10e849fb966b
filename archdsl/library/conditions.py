"""Conditions on the figures of networks: `params < 5M and peak < 2GiB`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NamedTuple, NoReturn

from archdsl.diagnostics import ArchError, Source, Span, did_you_mean, error
from archdsl.language.expressions import Lookup, Value
from archdsl.language.expressions.parser import ParsedPart, Parser
from archdsl.language.expressions.tokens import Token
from archdsl.language.expressions.values import WORDS
from archdsl.library.catalog import CatalogEntry
from archdsl.library.columns import COLUMNS, NUMERIC
from archdsl.library.quantities import QUANTITY, SUFFIXES, factor, scaled, unknown, without_unit
from archdsl.source import Scalar


class Missing(Exception):
    """A figure that a condition needs and a network does not have; `args[0]` is its name."""


class Condition:
    """A condition in the language of expressions, on the figures of `COLUMNS` and on `arguments` with other names.

    `words` are the values of arguments that are names, such as `relu`.

    A number may have a suffix: `5M` for a count, `2GiB` for bytes. Raises E0303 to E0306 for a wrong expression, E0304
    for a name that is no figure, E0912 for a quantity that is compared with a figure of another unit.
    """

    def __init__(self, text: str, arguments: Collection[str] = (), words: Collection[str] = ()) -> None:
        self.text, self.words = text, frozenset(words)
        source = Source("--where", text)
        scalar = Scalar(text, text, Span(source, 0, len(text)), offset=0)
        try:
            parser = _ConditionParser(scalar, 0, None)
            node = parser.ternary()
            parser.expect_end()
        except ArchError as problem:
            raise ArchError(problem.diagnostics, status=2) from None
        self.expression = parser.expr(node)
        self.hidden = tuple(name for name in arguments if name in NUMERIC and name in self.expression.names)
        """Arguments with the name of a figure, which the condition means."""
        known = (*NUMERIC, *arguments, *words)
        for name in sorted(self.expression.names - {*known}):
            at = parser.places[name]
            help_ = did_you_mean(name, known)
            raise error("E0304", f"`{name}` is not a figure", scalar.part(at.start, at.end), help=help_, status=2)

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures that the condition names, in the order of `COLUMNS`."""
        return tuple(name for name in NUMERIC if name in self.expression.names)

    def holds(self, entry: CatalogEntry) -> bool:
        """Return whether a network meets the condition.

        Raises Missing if the network lacks a figure that decides, and E0305 (status 2), which names the network, for
        values that cannot be compared, and for a value that is neither true nor false.
        """
        args = dict(entry.args)

        def value(name: str) -> Value:
            number: Value = COLUMNS[name].number(entry) if name in NUMERIC else args.get(name)
            if number is None and name in self.words:
                return name
            if number is None:
                raise Missing(name)
            return number

        try:
            met = self.expression.evaluate(value)
            if isinstance(met, bool):
                return met
            help_ = "compare it: `params < 5M`"
            raise error("E0305", f"`{self.text[:80]}` is neither true nor false", self.expression.span, help=help_)
        except ArchError as problem:
            (one,) = problem.diagnostics
            raise ArchError(replace(one, notes=(*one.notes, f"for `{entry.name}`")), status=2) from None


class _Quantity(NamedTuple):
    start: int
    end: int
    text: str
    suffix: str


class _ConditionParser(Parser):
    """Reads numbers with a suffix, and compares the suffix with the units of the figures on both sides."""

    def __init__(self, scalar: Scalar, start: int, end: int | None) -> None:
        self.quantities: list[_Quantity] = []
        self.places: dict[str, Token] = {}
        self.figures: list[Token] = []
        super().__init__(scalar, start, end)

    def read(self, at: int) -> Token:
        text = self.scalar.text
        begin = at + len(text[at : self.stop]) - len(text[at : self.stop].lstrip())
        match = QUANTITY.match(text, begin, self.stop)
        if match is None or not match[3] or match[3] in WORDS:
            return super().read(at)
        factors = [known[match[3]] for known in SUFFIXES.values() if match[3] in known]
        if not factors and " " in match[0]:
            return super().read(at)
        if not factors:
            raise unknown(match[3], match[0], self.scalar.part(match.start(), match.end()))
        number = scaled(match, factors[0])
        self.quantities.append(_Quantity(match.start(), match.end(), match[0], match[3]))
        return Token("number", repr(number), match.start(), match.end())

    def not_here(self, token: Token) -> NoReturn:
        if token.text in ("'", '"'):
            help_ = "networks are chosen by their names: `archdsl compare 'resnet*'`"
            self.fail("strings are not allowed in conditions", token, help=help_)
        super().not_here(token)

    def word(self, token: Token) -> ParsedPart:
        self.places.setdefault(token.text, token)
        self.figures.append(token)
        return super().word(token)

    def comparison(self, left: ParsedPart, token: Token, right: ParsedPart) -> Callable[[Lookup], Value]:
        figures = [f.text for f in self.figures if left.start <= f.start < right.end and f.text in COLUMNS]
        units = [(name, unit) for name in figures if (unit := COLUMNS[name].unit)]
        for one in self.quantities:
            inside = left.start <= one.start < right.end
            if inside and units and not any(one.suffix in SUFFIXES[unit] for _, unit in units):
                name, unit = units[0]
                factor(one.suffix, unit, name, one.text, self.scalar.part(one.start, one.end))
        for figure, amount in ((left, right), (right, left)):
            name, text = (self.scalar.text[one.start : one.end].strip("() ") for one in (figure, amount))
            plain = text.strip("0.") and QUANTITY.fullmatch(text) and not text[-1].isalpha()
            if plain and name in COLUMNS and COLUMNS[name].unit == "bytes":
                raise without_unit(text, name, self.scalar.part(amount.start, amount.end))
        return super().comparison(left, token, right)
