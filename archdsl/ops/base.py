"""What every op is: fields (pydantic), a shape rule, named tensors, a count, a window. No torch, onnx, numpy.

An op class is the truth about its kind. Its docstring has five lines (shape, parameters, MACs, errors,
source), from which `docs/ops.md` is made. How a target says it lives with the target.
"""

from abc import abstractmethod
from collections.abc import Sequence
from math import gcd, isqrt, prod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from archdsl.shapes import Shape, Size, at, format_shape, numel

MAX_SIZE = 2**31 - 1
MAX_DIVIDED = 2**16
"""The largest number whose divisors are told."""


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Positive: TypeAlias = Annotated[int, Field(ge=1, le=MAX_SIZE)]
Natural: TypeAlias = Annotated[int, Field(ge=0, le=MAX_SIZE)]
Pair: TypeAlias = Annotated[
    tuple[Positive, Positive], BeforeValidator(_pair, json_schema_input_type=int | tuple[int, int])
]
"""One number for both axes, or `[height, width]`."""
Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
ErrorOf: TypeAlias = Literal["output", "one", "input"]
Look: TypeAlias = Literal["input", "conv", "pool", "fc", "norm", "act", "merge", "other"]
Score: TypeAlias = Literal["logits", "scores", "probabilities", "distances"]


class OpError(Exception):
    """A rule of an op that its inputs or fields break. `field` is the field to point at, if one is to blame.

    `shape` is the output's where it is beyond doubt in spite of the mistake: the nodes behind can still be checked.
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
        super().__init__(message)


class Init(NamedTuple):
    """How a tensor starts: `kaiming` (normal, std = sqrt(2 / fan)), `uniform` (+- 1 / sqrt(fan)), `constant`
    (`value`), or `data` (`value` holds the numbers, row by row)."""

    how: Literal["kaiming", "uniform", "constant", "data"]
    fan: int = 0
    value: Any = 0.0


ZEROS, ONES = Init("constant", value=0.0), Init("constant", value=1.0)


class Param(NamedTuple):
    """One named tensor of a node. `name` is the last part of its state_dict key; empty: the key is the node's path.

    `trained` false: a buffer (batch-norm statistics, fixed filters), counted apart.
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


class Window(NamedTuple):
    """What one output looks at: per axis (height, width) the reach (dilated kernel) and stride; None: everything.

    `stride` may be a fraction (a transposed convolution or upsampling by 2 has 1/2).
    """

    reach: tuple[int, int]
    stride: tuple[float, float]


class Example(NamedTuple):
    """A spec that shows an op: its input, the node `y` (empty: the kind alone), and further lines of its net."""

    input: str = "64x56x56"
    text: str = ""
    before: str = ""
    after: str = ""


class Op(BaseModel):
    """Base of all ops. Instances are frozen, validated in strict mode, and hold only what the spec says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: ClassVar[str]
    """The word for it in a spec, and in every table."""
    look: ClassVar[Look]
    """What it is drawn as."""
    example: ClassVar[Example]
    """Its example in `docs/ops.md`."""
    positional: ClassVar[tuple[str, ...]] = ()
    """Fields that values without a key go to, in order."""
    flags: ClassVar[dict[str, tuple[str, Any]]] = {}
    """Words of the short form that set a field: `ceil` -> `("ceil", True)`."""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Least and most inputs (None: any number)."""
    role: ClassVar[Literal["", "norm", "act"]] = ""
    """`norm` and `act` kinds may be written behind another kind: `3x3 conv 64 bn relu`."""
    parametric: ClassVar[bool] = False
    """True: has named tensors, so its place in the tree needs a name."""
    inference: ClassVar[bool] = True
    """False: does nothing when the network runs (dropout), so targets may leave it out."""
    stored: ClassVar[bool] = True
    """False: the output is a view of the input, no memory of its own."""
    references: ClassVar[frozenset[str]] = frozenset()
    """Fields that name an earlier node."""
    drawn: ClassVar[frozenset[str]] = frozenset()
    """Fields that may be a picture: a text of several lines, which is no expression."""
    elsewhere: ClassVar[str] = ""
    """Its names in PyTorch, Keras, Caffe and ONNX, in lower case without `_`, where they differ from `name`."""
    hint: ClassVar[str] = ""
    """Help for a spec that writes a width or a window which it does not have."""
    label: ClassVar[str] = ""
    """Its name in figures; empty: `name` with blanks for `_`."""
    label_values: ClassVar[bool] = False
    """True: figures show the values of its positional fields behind its name."""
    sign: ClassVar[str] = ""
    """The sign that figures draw in its place: `+` of a sum."""
    score: ClassVar[Score] = "logits"
    """What its numbers are where it makes the output of a classifier."""
    float32: ClassVar[bool] = False
    """True: files in half precision compute it in float32, as the field does for sums over many numbers."""
    error_of: ClassVar[ErrorOf] = "output"
    """What the rounding error of a number of the output is a fraction of: the number itself; 1, where it is computed as
    a difference from 1 or a fraction of it (sigmoid); the input that such a number is multiplied by (silu)."""

    def settle(self, inputs: Sequence[Shape]) -> "Op":
        """The op with everything filled in that its inputs decide (a dwconv becomes a grouped conv)."""
        return self

    def infer(self, inputs: Sequence[Shape]) -> Shape:
        """The output's shape. Raises `OpError` (a rule is broken) or `Inexpressible` (a size must be pinned)."""
        return inputs[0]

    def least(self, inputs: Sequence[Shape]) -> tuple[tuple[Size, int], ...]:
        """Sizes that arrive here and must not be smaller than a number. That an output has a pixel goes without
        saying."""
        return ()

    def params(self, inputs: Sequence[Shape]) -> tuple[Param, ...]:
        """The tensors, in the order of the state_dict."""
        return ()

    @abstractmethod
    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        """Multiply-accumulates for one sample at the default size; the bias add is not counted."""

    @abstractmethod
    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        """The terms that are added up for one number of the output, which `verify` derives its tolerance from.

        0: nothing is rounded. A function such as exp counts as a series of eight terms.
        """

    def window(self, inputs: Sequence[Shape]) -> Window | None:
        """The window for the receptive field. Default: pointwise."""
        return POINT

    def resolved(self, inputs: Sequence[Shape]) -> dict[str, Any]:
        """The fields that a spec may leave to the op or to what stands around it, with the values they have here."""
        values = {name: getattr(self, name) for name in self.positional if getattr(self, name) is not None}
        return values | {name: value for name, value in self.__dict__.items() if name == "bias"}

    def explicit(self) -> dict[str, Any]:
        """The fields that differ from their defaults: what a person would write."""
        fields = type(self).model_fields
        return {k: v for k, v in self.__dict__.items() if fields[k].is_required() or v != fields[k].default}


POINT = Window((1, 1), (1, 1))


class Sugar(Op):
    """An op that no graph holds: `settle` or the elaborator puts other ops in its place."""

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        raise NotImplementedError(f"`{self.name}` is in no graph")

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        raise NotImplementedError(f"`{self.name}` is in no graph")


class Free(Op):
    """Base of the ops without multiply-accumulates: norms, activations, pools, merges."""

    def macs(self, inputs: Sequence[Shape], output: Shape) -> int:
        return 0


class Exact(Free):
    """Base of the ops that round no number: they move or choose values."""

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        return 0.0


class Weighted(Op):
    """Base of the layers that count for the depth of a network, whether their weights are learned or fixed."""

    parametric: ClassVar[bool] = True

    def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
        """The products for one number, and the bias."""
        return self.macs(inputs, output) / max(numel(output), 1) + 1


# --- checks and help that several ops share -------------------------------------------------------------------


def divisors(*numbers: int) -> str:
    """A help line: what divides all of the numbers."""
    common = gcd(*numbers)
    if common > MAX_DIVIDED:
        return "choose a divisor of " + " and ".join(map(str, dict.fromkeys(numbers)))
    low = [n for n in range(1, isqrt(common) + 1) if common % n == 0]
    found = sorted({*low, *(common // n for n in low)})
    shown = ", ".join(map(str, found[:12])) + (", ..." if len(found) > 12 else "")
    return f"{' and '.join(map(str, dict.fromkeys(numbers)))} can be divided by {shown}"


def need_image(op: Op, shape: Shape) -> None:
    """Raises E0401 unless the shape is C x H x W."""
    if len(shape) != 3:
        raise OpError(
            "E0401",
            f"`{op.name}` works on an image (C x H x W), and it receives a vector of {format_shape(shape)}",
            label=f"receives {format_shape(shape, batch='N')}",
            help="move it before the first `fc` or `flatten`, or read another node with `<-`",
        )


def need_windows(op: Op, shape: Shape, output: Shape, reach: tuple[int, int], padded: tuple[int, int]) -> None:
    """Raises E0402 unless at least one window fits on both axes."""
    for axis, name in ((0, "high"), (1, "wide")):
        if at(output[axis + 1]) < 1:
            size = at(shape[axis + 1])
            room = f"{size} + {padded[axis]} of padding" if padded[axis] else f"{size}"
            raise OpError(
                "E0402",
                f"the window of `{op.name}` is {reach[axis]} pixels {name}, its input only {room}",
                field="kernel",
                label=f"receives {format_shape(shape, batch='N')}",
                help="a larger input, a smaller kernel, more padding, or fewer strides before this node",
            )
