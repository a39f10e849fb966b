"""Choose the arguments of a class that several blocks share.

A constant that is equal in all blocks is written into the class. Any other constant becomes an argument, named after
the argument of the user's block that has the same values, else after the field; or a small formula of another argument,
if one gives its values: `4 * w`, `kernel_size // 2`. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from archdsl.axes import MOST
from archdsl.backends.torch.lower import BARE
from archdsl.backends.torch.naming import identifier, literal, unique
from archdsl.graph import Scope
from archdsl.language.names import MODULE_NAMES

MAX_FACTOR = 16
"""`4 * width` and `width // 4` are written for factors up to this."""

Column: TypeAlias = tuple[Any, ...]
"""The values of a constant in the blocks that share a class."""


@dataclass(frozen=True, slots=True)
class ClassRef:
    """A class as a value: `nn.ReLU`, which a constructor may receive."""

    target: str


class Use(NamedTuple):
    """The use of a constant: its name there, and the PyTorch field that receives it."""

    name: str
    field: str

    @property
    def role(self) -> str:
        """The role of the constant. Constants with the same role may share an argument: channels, strides."""
        return "channels" if self.field in _CHANNELS else self.field


_CHANNELS = frozenset(
    "in_channels out_channels num_features num_channels normalized_shape in_features out_features groups channels "
    "num_parameters num_groups".split()
)
_USUAL: Mapping[str, Any] = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0}
"""Fields with a usual value, which is the default of an argument for them."""


@dataclass(eq=False)
class Option:
    """An argument of a class: its use, and its value in each block; `optional`: it has a default."""

    use: Use
    column: Column
    default: Any = None
    optional: bool = False

    @property
    def name(self) -> str:
        return self.use.name


@dataclass(eq=False)
class ClassOptions:
    """The arguments of a class in order, and each varying constant as a formula of an argument."""

    items: list[Option] = field(default_factory=list)
    formulas: dict[Slot, tuple[str, str]] = field(default_factory=dict)
    """For each varying constant, a text with `{}` for an argument, and the name of that argument."""
    stored: dict[str, str] = field(default_factory=dict)
    """For each argument that forward reads, the attribute that stores it."""

    def text(self, use: Use, column: Column) -> str:
        """Return a constant as it is written in the constructor."""
        if not varies(column):
            return constant(column[0])
        form, name = self.formulas[slot(use, column)]
        return form.format(name)

    def forward_text(self, use: Use, column: Column) -> str:
        """Return a constant as it is written in forward."""
        if not varies(column):
            return constant(column[0])
        form, name = self.formulas[slot(use, column)]
        return form.format(f"self.{self.stored[name]}")


Slot: TypeAlias = tuple[str, str]
"""A role and the values as text: True, 1 and 1.0 are equal in Python, but different for a constructor."""


def slot(use: Use, column: Column) -> Slot:
    return use.role, repr(column)


def varies(column: Column) -> bool:
    first = repr(column[0])
    return any(repr(value) != first for value in column)


def constant(value: Any) -> str:
    """Return a value as Python source."""
    if isinstance(value, ClassRef):
        return value.target
    if isinstance(value, tuple):
        return f"({', '.join(map(constant, value))}{',' if len(value) == 1 else ''})"
    return literal(value)


class Slots:
    """Collects the varying constants of a class, in the order of its text."""

    def __init__(self) -> None:
        self.varying: dict[Slot, tuple[Use, Column]] = {}
        self.in_forward: set[Slot] = set()

    def text(self, use: Use, column: Column) -> str:
        """Collect a constant of the constructor."""
        if varies(column):
            self.varying.setdefault(slot(use, column), (use, column))
        return ""

    def forward_text(self, use: Use, column: Column) -> str:
        """Collect a constant of the forward."""
        if varies(column):
            self.in_forward.add(slot(use, column))
        return self.text(use, column)


def choose(
    slots: Slots, scopes: Sequence[Scope], received: Column, taken: set[str], children: frozenset[str]
) -> ClassOptions:
    """Return the arguments of the class whose instances are these scopes.

    `received`: the number of input channels of each; `taken`: names that an argument must not have.
    """
    chooser = _Chooser(slots, scopes, received, taken)
    for key, (use, column) in slots.varying.items():
        chooser.options.formulas[key] = _, name = chooser.formula(use, column)
        if key in slots.in_forward:
            clash = name in children or name in MODULE_NAMES
            chooser.options.stored[name] = f"{name}_" if clash else name
    return chooser.finish()


class _Chooser:
    def __init__(self, slots: Slots, scopes: Sequence[Scope], received: Column, taken: set[str]) -> None:
        self.options = ClassOptions()
        self.received = repr(received)
        self.taken = set(taken)
        self.arguments = dict(_block_arguments(scopes))
        self.used: dict[str, Option] = {}
        self.own: list[Option] = []

    def finish(self) -> ClassOptions:
        """Sort the arguments: input channels, the block's own arguments as written, the rest; defaults last."""
        inward = [option for option in self.own if option.name.startswith("in_")]
        others = [option for option in self.own if not option.name.startswith("in_")]
        ordered = [*inward, *(self.used[name] for name in self.arguments if name in self.used), *others]
        self.options.items = sorted(ordered, key=lambda option: option.optional)
        return self.options

    def formula(self, use: Use, column: Column) -> tuple[str, str]:
        """Return a constant as in `ClassOptions.formulas`, with a new argument if no existing one gives its values."""
        for name, values in self.arguments.items():
            if repr(values) == repr(column):
                return "{}", self._use(name, use.field, column)
        for option in self.own:
            if slot(option.use, option.column) == slot(use, column):
                return "{}", option.name
        return self._derived(use, column) or ("{}", self._new(use, column))

    def _derived(self, use: Use, column: Column) -> tuple[str, str] | None:
        inward = use.field.startswith("in_")
        for name, values in self.arguments.items():
            form = formula(values, column, use.role, divide=not inward)
            if form:
                return form, self._use(name, use.field, values, default=False)
        for option in self.own:
            if (use.role == "channels") == (option.use.role == "channels"):
                form = formula(option.column, column, use.role, divide=True)
                if form:
                    return form, option.name
        return None

    def _use(self, name: str, field: str, column: Column, default: bool = True) -> str:
        """Return the argument that has the name of the block's own."""
        if name not in self.used:
            self.used[name] = self._option(Use(identifier(name), field), column)
        if default:
            _give_default(self.used[name], field)
        return self.used[name].name

    def _new(self, use: Use, column: Column) -> str:
        if use.role == "channels" and repr(column) == self.received and not use.field.startswith("in_"):
            use = Use("in_channels", "in_channels")
        elif use.name == "in_channels" and repr(column) != self.received:
            use = Use("channels", "channels")
        self.own.append(self._option(Use(identifier(use.name), use.field), column))
        _give_default(self.own[-1], use.field)
        return self.own[-1].name

    def _option(self, use: Use, column: Column) -> Option:
        word = unique(use.name, self.taken, "_")
        self.taken.add(word)
        return Option(Use(word, use.field), column)


def _give_default(option: Option, field: str) -> None:
    usual = _USUAL.get(field)
    if usual is not None and any(value == usual for value in option.column):
        option.default, option.optional = usual, True


def _block_arguments(scopes: Sequence[Scope]) -> Iterator[tuple[str, Column]]:
    """Yield the arguments of the user's block whose values differ between these calls of it."""
    for name in scopes[0].args:
        column = tuple(_plain(scope.args.get(name)) for scope in scopes)
        if varies(column):
            yield name, column


def _plain(value: Any) -> Any:
    """Return a value of the language as in the lowering: an integer fraction is an int, equal numbers of all axes one
    number."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, (tuple, list)):
        items = tuple(map(_plain, value))
        whole = 0 < len(items) <= MOST and len(set(items)) == 1 and isinstance(items[0], int)
        return items[0] if whole else items
    if isinstance(value, str):
        return next((ClassRef(target) for target, word in BARE.items() if word == value), value)
    return value


def formula(base: Column, column: Column, role: str, divide: bool) -> str | None:
    """Return `column` as a small formula of `base`, with `{}` for its name; None if there is none."""
    if not (_counts(base) and _counts(column, least=0)) or not varies(base):
        return None
    pairs = list(zip(base, column, strict=True))
    if role == "padding":
        return "{} // 2" if all(c == b // 2 for b, c in pairs) else None
    if role != "channels":
        return None
    up, down = column[0] // base[0], base[0] // max(column[0], 1)
    if 2 <= up <= MAX_FACTOR and all(c == up * b for b, c in pairs):
        return f"{up} * {{}}"
    if divide and 2 <= down <= MAX_FACTOR and all(c * down == b for b, c in pairs):
        return f"{{}} // {down}"
    return None


def _counts(column: Column, least: int = 1) -> bool:
    return all(type(value) is int and value >= least for value in column)
