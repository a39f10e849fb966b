"""What every op defines: fields (pydantic), a shape rule, named tensors, a cost, a window. No torch, onnx, numpy.

An op class is the only definition of its op. Its docstring has five lines (shape, parameters, MACs, errors,
source), from which `docs/ops.md` is generated. Each target has its own table of how it implements the ops.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import gcd, isqrt, prod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import core_schema

from archdsl.axes import FORMS, MOST, axes_of, kind_of, listed
from archdsl.diagnostics import Fix
from archdsl.shapes import Pads, Shape, Size, at, format_shape, no_pads, numel

MAX_SIZE = 2**31 - 1
MAX_DIVIDED = 2**16
"""The largest number whose divisors are listed."""


class Every(tuple[int, ...]):
    """One number for all axes of an input that is not known yet, `kernel=3`; `Op.settle` repeats it for each."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """As a default in a JSON schema it is one number."""
        single = core_schema.plain_serializer_function_ser_schema(lambda numbers: numbers[0])
        return core_schema.any_schema(serialization=single)


def _every(value: Any, validate: ValidatorFunctionWrapHandler) -> tuple[int, ...]:
    single = isinstance(value, Every) or (isinstance(value, int) and not isinstance(value, bool))
    numbers: tuple[int, ...] = validate((value,) if single and not isinstance(value, tuple) else value)
    return Every(numbers) if single else numbers


Positive: TypeAlias = Annotated[int, Field(ge=1, le=MAX_SIZE)]
Natural: TypeAlias = Annotated[int, Field(ge=0, le=MAX_SIZE)]
_Listed: TypeAlias = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=MOST)]
PerAxis: TypeAlias = Annotated[_Listed, WrapValidator(_every, json_schema_input_type=Positive | _Listed)]
"""One number for all axes, or one for each: `[height, width]`."""
ALL_ONE = Every((1,))
PER_SIDE = Field(json_schema_extra={"minItems": 2, "maxItems": 2 * MOST})
"""What editors know of a list with a number for each side; `Op.settle` compares it with the axes."""
LARGEST = float.fromhex("0x1.fffffep+127")
"""The largest finite float32 number."""
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
"""A constant, which is stored as float32."""
Name: TypeAlias = Annotated[str, Field(pattern=r"^\.*[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", max_length=400)]
"""An earlier node, as `<-` names it."""
LIKE = "..."
"""The value of a field `like` in a graph, where the node that it names is the last input: equal copies stay equal."""
ErrorOf: TypeAlias = Literal["output", "one", "input"]
Look: TypeAlias = Literal["input", "conv", "pool", "fc", "norm", "act", "merge", "other"]
Score: TypeAlias = Literal["logits", "scores", "probabilities", "distances"]


class OpError(Exception):
    """An input or a field breaks a rule of an op. `field` is the field to point at, if one causes the error.

    `shape` is the output's shape if it is known despite the error, so that the nodes that follow can still be checked.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        label: str = "",
        notes: tuple[str, ...] = (),
        help: str = "",
        shape: Shape | None = None,
    ) -> None:
        self.code, self.message, self.field = code, message, field
        self.label, self.notes, self.help, self.shape = label, notes, help, shape
        self.fixes: tuple[Fix, ...] = ()
        super().__init__(message)


class Init(NamedTuple):
    """How a tensor is initialised: `kaiming` (normal, std = sqrt(2 / fan)), `uniform` (+- 1 / sqrt(fan)), `constant`
    (`value`), or `data` (`value` contains all elements, row by row)."""

    how: Literal["kaiming", "uniform", "constant", "data"]
    fan: int = 0
    value: Any = 0.0


ZEROS, ONES = Init("constant", value=0.0), Init("constant", value=1.0)


class Param(NamedTuple):
    """One named tensor of a node. `name` is the last part of its state_dict key; empty: the key is the node's path.

    `trained` false: a buffer (batch-norm statistics, fixed filters), counted separately.
    """

    name: str
    shape: tuple[int, ...]
    init: Init = ZEROS
    trained: bool = True
    dtype: Literal["float32", "int64"] = "float32"

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.numel * (8 if self.dtype == "int64" else 4)


class Reads(NamedTuple):
    """The input pixels that the output pixel n reads along one axis.

    From ``(n * step + first) // per`` to ``(n * step + last) // per``; negative numbers are in the padding.
    """

    step: int = 1
    per: int = 1
    first: int = 0
    last: int = 0


Window: TypeAlias = tuple[Reads, ...]
"""What one output pixel reads along each axis; empty: the pixel at its place, on any number of axes."""


class Example(NamedTuple):
    """A spec that shows an op: its input, the node `y` (empty: the op's name alone), and further lines of its net."""

    input: str = "64x56x56"
    text: str = ""
    before: str = ""
    after: str = ""


class Op(BaseModel):
    """Base of all ops. Instances are frozen, validated in strict mode, and contain only what the spec sets."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: ClassVar[str]
    """Its name in specs and in all tables."""
    look: ClassVar[Look]
    """The look of its box in drawings."""
    example: ClassVar[Example]
    """Its example in `docs/ops.md`."""
    further: ClassVar[tuple[Example, ...]] = ()
    """More examples, of signals and volumes."""
    excludes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Fields that cannot be set if another one is: `{form: fields}`."""
    positional: ClassVar[tuple[str, ...]] = ()
    """Fields that receive the values without a key, in order."""
    flags: ClassVar[dict[str, tuple[str, Any]]] = {}
    """Words of the short form that set a field: `ceil` sets `("ceil", True)`."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Minimum and maximum number of inputs (None: no maximum)."""
    of_several: ClassVar[str] = ""
    """The merge that computes of several inputs what an op with one input computes of its values."""
    role: ClassVar[Literal["", "norm", "act"]] = ""
    """A `norm` or `act` may follow another op in its short form: `3x3 conv 64 bn relu`."""
    parametric: ClassVar[bool] = False
    """True: has named tensors, so its node needs a name in the module tree."""
    inference: ClassVar[bool] = True
    """False: does nothing at inference (dropout), so targets may leave it out."""
    stored: ClassVar[bool] = True
    """False: the output is a view of the input, no memory of its own."""
    per_axis: ClassVar[tuple[str, ...]] = ()
    """Fields with a number for each axis: the window, and its strides."""
    per_side: ClassVar[tuple[str, ...]] = ()
    """Fields that may list a number for each side: those before the image on each axis, then those after it."""
    references: ClassVar[frozenset[str]] = frozenset()
    """Fields that name an earlier node."""
    drawn: ClassVar[frozenset[str]] = frozenset()
    """Fields that accept a picture: a text of several lines, which is not an expression."""
    elsewhere: ClassVar[str] = ""
    """Its names in PyTorch, Keras, Caffe and ONNX that differ from `name`, in lower case without `_` and `2d`."""
    hint: ClassVar[str] = ""
    """Help for a spec that gives the op a width or a window, although it has none."""
    label: ClassVar[str] = ""
    """Its name in figures; empty: `name` with spaces for `_`."""
    label_values: ClassVar[bool] = False
    """True: figures show the values of its positional fields after its name."""
    sign: ClassVar[str] = ""
    """The sign that figures draw instead of its name, such as `+` for a sum."""
    score: ClassVar[Score] = "logits"
    """What its values are if it is the output of a classifier."""
    float32: ClassVar[bool] = False
    """True: half-precision files compute it in float32, as is usual for sums of many values."""
    error_of: ClassVar[ErrorOf] = "output"
    """What the rounding error of an output value is relative to: the value itself; 1, if the value is computed as a
    difference from 1 or a fraction of 1 (sigmoid); the input that such a value is multiplied by (silu)."""

    def settle(self, inputs: Sequence[Shape]) -> "Op":
        """Return the op with the fields that depend on the inputs: one number per axis; a dwconv is a grouped conv.

        Raises `OpError` E0426 if a field has numbers for other axes than the input has.
        """
        axes = axes_of(inputs[0]) if inputs else 0
        if not axes:
            return self
        for name in self.misfits(axes):
            raise _misfit(self, name, inputs[0])
        single = {name: value for name in self.per_axis if isinstance(value := getattr(self, name), Every)}
        return self.model_copy(update={name: tuple(value) * axes for name, value in single.items()}) if single else self

    def misfits(self, axes: int) -> list[str]:
        """Return the fields that have numbers for other axes than an input with `axes` has."""
        numbers = {**dict.fromkeys(self.per_axis, axes), **dict.fromkeys(self.per_side, 2 * axes)}
        values = {name: getattr(self, name) for name in numbers}
        listed = {name: v for name, v in values.items() if isinstance(v, tuple) and not isinstance(v, Every)}
        return [name for name, value in listed.items() if len(value) != numbers[name]]

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        """Return the output's shape.

        Raises `OpError` if an input breaks a rule, `Inexpressible` if a free size must be fixed.
        """
        return inputs[0]

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        """Return lower bounds on input sizes, beyond "the output is not empty"."""
        return ()

    def multiples(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        """Return input sizes that must be multiples of numbers."""
        return ()

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        """Return the tensors, in the order of the state_dict."""
        return ()

    @property
    def measured(self) -> int:
        """How many inputs, the last ones, give only their sizes; their values are not read."""
        return 0

    @abstractmethod
    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        """Return the multiply-accumulates for one sample at the default size, without the bias add."""

    @abstractmethod
    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        """Return how many terms are added up for one output value; `verify` derives its tolerance from this.

        0: nothing is rounded. A function such as exp counts as a series of eight terms.
        """

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        """Return what an output pixel reads, for the receptive field; None: the whole input. Default: one pixel."""
        return POINT

    def padding(self, inputs: Sequence[Shape]) -> Pads | None:
        """Return the padding of a module with weights that is fixed when it is built; None if it has none."""
        return None

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        """Return the values of the fields that a spec may leave to the op or its surroundings."""
        values = {name: getattr(self, name) for name in self.positional if getattr(self, name) is not None}
        return values | {name: value for name, value in self.__dict__.items() if name == "bias"}

    def explicit(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults: those that a person would write."""
        fields = type(self).model_fields
        return {k: v for k, v in self.__dict__.items() if fields[k].is_required() or not _is(v, fields[k].default)}


def _is(value: object, default: object) -> bool:
    """Whether a value is the default, for all axes."""
    if isinstance(default, Every) and isinstance(value, tuple):
        return set(value) == set(default)
    return value == default


POINT: Window = ()


def whole(shape: Shape) -> Window | None:
    """Return the window of an op that reads all pixels: None (the whole input), or the pixel if there is only one."""
    return POINT if all(at(size) == 1 for size in shape[1:]) else None


def sliding(reach: Sequence[int], stride: Sequence[int], pads: Pads | None = None) -> Window:
    """Return the window of a convolution or pool: `reach` pixels (the dilated kernel), every `stride` pixels."""
    axes = zip(reach, stride, (pads or no_pads(len(reach))).begins, strict=True)
    return tuple(Reads(step, first=-pad, last=size - 1 - pad) for size, step, pad in axes)


class Sugar(Op):
    """Base of ops that occur in no graph: `settle` or the elaborator replaces them by other ops."""

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        raise NotImplementedError(f"`{self.name}` occurs in no graph")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        raise NotImplementedError(f"`{self.name}` occurs in no graph")


class Free(Op):
    """Base of the ops without multiply-accumulates: norms, activations, pools, merges."""

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        return 0


class Exact(Free):
    """Base of the ops that round nothing: they move or select values."""

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 0.0


class Weighted(Op):
    """Base of the layers that count towards the depth of a network, whether their weights are trained or fixed."""

    parametric: ClassVar[bool] = True

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        """The products of one output value, and its bias."""
        return self.macs(inputs, output) / max(numel(output), 1) + 1


# --- checks and help that several ops share -------------------------------------------------------------------


def divisors(*numbers: int) -> str:
    """Return a help line that lists the common divisors of the numbers."""
    common = gcd(*numbers)
    if common > MAX_DIVIDED:
        return "choose a divisor of " + " and ".join(map(str, dict.fromkeys(numbers)))
    low = [n for n in range(1, isqrt(common) + 1) if common % n == 0]
    factors = sorted({*low, *(common // n for n in low)})
    shown = ", ".join(map(str, factors[:12])) + (", ..." if len(factors) > 12 else "")
    return f"{' and '.join(map(str, dict.fromkeys(numbers)))} can be divided by {shown}"


def need_axes(op: Op, shape: Shape) -> None:
    """Raise E0401 for a vector."""
    if not axes_of(shape):
        raise OpError(
            "E0401",
            f"`{op.name}` needs {FORMS}, but its input is a vector of {format_shape(shape)}",
            label=f"receives {format_shape(shape, batch='N')}",
            help="move it before the first `fc` or `flatten`, or read another node with `<-`",
        )


def need_same_axes(op: Op, inputs: Sequence[Shape]) -> Shape:
    """Return the shape of the node that `like` names. Raise E0405 if it has other axes than the input."""
    shape, like = inputs
    if len(shape) != len(like):
        raise OpError(
            "E0405",
            f"the input of `{op.name}` is {kind_of(shape).noun}, the node that `like` names is {kind_of(like).noun}",
            field="like",
            label=f"is N x {format_shape(like)}",
            help=f"name {kind_of(shape).noun} of the size that the output should have",
        )
    return like


def need_windows(op: Op, shape: Shape, output: Shape, reach: Sequence[int], padded: Sequence[int]) -> None:
    """Raise E0402 unless at least one window fits on every axis."""
    kind = kind_of(shape)
    for axis, extent in enumerate(kind.extents):
        if at(output[axis + 1]) < 1:
            size = at(shape[axis + 1])
            room = f"{size} + {padded[axis]} of padding" if padded[axis] else f"{size}"
            raise OpError(
                "E0402",
                f"the window of `{op.name}` is {reach[axis]} {kind.point}s {extent}, but its input only {room}",
                field="kernel",
                label=f"receives {format_shape(shape, batch='N')}",
                help="use a larger input, a smaller kernel, more padding, or fewer strides before this node",
            )


def _misfit(op: Op, name: str, shape: Shape) -> OpError:
    """The error for a field with numbers for other axes or sides than an input has."""
    kind, value, sides = kind_of(shape), getattr(op, name), 2 * axes_of(shape)
    there, axes = f"{kind.noun} of {format_shape(shape)}", listed(kind.sizes)
    if name in op.per_side:
        what = f"{len(value)} {'number' if len(value) == 1 else 'numbers'} in `{name}` for the {sides} sides of"
        help_ = f"write one number for all sides, or {sides}: {axes} before, then {axes} after"
    else:
        numbers = "x".join(map(str, value))
        what = f"a {name} of {numbers} on"
        if name == "kernel":
            what = f"a {numbers} window on" if len(value) > 1 else f"a window of {numbers} on"
        help_ = f"write one number for each axis ({axes}), or one number for all axes"
    label = f"receives {format_shape(shape, batch='N')}"
    return OpError("E0426", f"{what} {there}", field=name, label=label, help=help_)
