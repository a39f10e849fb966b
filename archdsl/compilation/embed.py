"""Preprocessing inside an ONNX file: nodes that turn the raw pixels of images into the network's input.

They compute the steps of `runtime/preprocess.py` as Pillow 13 does: a resize along one axis, then along the other, each
rounded to whole grey levels. The file's input is `pixels`, uint8, `N x height x width x 3`, red, green and blue, for
images of one size; a network for grey images computes Pillow's grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from archdsl.axes import IMAGE, kind_of
from archdsl.backends.onnx.half_precision import ONNX_TYPES
from archdsl.backends.onnx.opsets import in_opset
from archdsl.backends.onnx.plan import Plan, ValueInfo
from archdsl.backends.onnx.records import Attribute, Constant, Initializer, OnnxNode
from archdsl.diagnostics import ArchError, error
from archdsl.graph import FreeSize, Graph
from archdsl.runtime.embedded import INPUT, PREFIX
from archdsl.runtime.recipe import Recipe

_KNOWN = {"resize", "crop", "scale", "mean", "std", "layout", "interpolation"}
_GREY = (19595.0, 38470.0, 7471.0)
"""Pillow's weights of red, green and blue, of 65536 (Convert.c); the sum of 8-bit values is exact in float32."""
_MODES = {"bilinear": "linear", "bicubic": "cubic"}


def checked_recipe(graph: Graph, text: str | None) -> Recipe:
    """Return the recipe that a file's metadata would have as `text`; None: there is none.

    Raises E0871 if it cannot be embedded: the input is not an image, or a step is not for images of 8 bits.
    """
    shapes = [graph.nodes[i].shape for i in graph.inputs]
    if text is None or len(shapes) != 1 or kind_of(shapes[0]) is not IMAGE:
        raise _cannot(f"the input of `{graph.name}` is not an image", "leave out `embed_preprocess`")
    if INPUT in {name for node in graph.nodes for name in (node.path, *map(node.key, node.params))} | {*graph.outputs}:
        raise _cannot(f"`{INPUT}` is a name of the network and of the new input", "rename the node")
    recipe = Recipe.from_json(text)
    for field in fields(recipe):
        if field.name not in _KNOWN and getattr(recipe, field.name) != field.default:
            name = "`window` or `intensity`" if field.name == "intensity" else f"`{field.name}`"
            raise _cannot(f"{name} is not for images of 8 bits", "prepare the images with `Network.transforms`")
    return recipe


def embedded(planned: Plan, recipe: Recipe) -> Plan:
    """Return the plan of a network for images with the steps of the recipe before its input."""
    (network_input,) = planned.inputs
    channels, *axes = network_input.shape[1:]
    steps = _Steps()
    steps.step("channels_first", "Transpose", perm=(0, 3, 1, 2))
    steps.step("levels", "Cast", saturate=1, to=ONNX_TYPES["float32"])
    if channels == 1:
        _grey(steps)
    _geometry(steps, recipe, axes, {size.name: size for size in planned.free})
    if recipe.layout == "BGR":
        steps.step("reversed", "Gather", steps.ints("order", 2, 1, 0), axis=1)
    _normalised(steps, recipe)
    nodes = [*steps.nodes[:-1], replace(steps.nodes[-1], outputs=(network_input.name,))]
    nodes = in_opset(nodes, steps.initializers, planned.opset, "fp32")
    pixels = ValueInfo(INPUT, (network_input.shape[0], "image_height", "image_width", 3), "uint8")
    return replace(
        planned,
        inputs=(pixels,),
        values=(network_input, *planned.values),
        nodes=(*nodes, *planned.nodes),
        initializers=(*steps.initializers.values(), *planned.initializers),
    )


class _Steps:
    """Collects nodes, each of which reads the value of the one before; `value` is the name of the last value."""

    def __init__(self) -> None:
        self.nodes: list[OnnxNode] = []
        self.initializers: dict[str, Initializer] = {}
        self.value = INPUT

    def side(self, what: str, op_type: str, *inputs: str, **attributes: Attribute) -> str:
        """Add a node beside the chain, and return the name of its value."""
        name = f"{PREFIX}{what}"
        self.nodes.append(OnnxNode(name, op_type, inputs, (name,), attributes))
        return name

    def step(self, what: str, op_type: str, *more: str, **attributes: Attribute) -> None:
        """Add a node that reads the last value and `more`."""
        self.value = self.side(what, op_type, self.value, *more, **attributes)

    def floats(self, what: str, *values: float) -> str:
        """Add a constant per channel, or for all."""
        shape = (len(values), 1, 1) if len(values) > 1 else ()
        return self._keep(Constant(f"{PREFIX}{what}", shape, values))

    def ints(self, what: str, *values: int) -> str:
        return self._keep(Constant(f"{PREFIX}{what}", (len(values),), values, "int64"))

    def _keep(self, item: Constant) -> str:
        self.initializers[item.name] = item
        return item.name

    def size(self, what: str) -> str:
        """Add the height and the width of the last value, as a list of two."""
        return self.side(what, "Shape", self.value, start=2, end=4)


def _grey(steps: _Steps) -> None:
    steps.step("weighted", "Mul", steps.floats("weights", *_GREY))
    steps.step("sum", "ReduceSum", steps.ints("colours", 1), keepdims=1, noop_with_empty_axes=0)
    steps.step("rounded_sum", "Add", steps.floats("half_sum", 2.0**15))
    steps.step("shifted", "Mul", steps.floats("shift", 2.0**-16))
    steps.step("grey", "Floor")


def _geometry(steps: _Steps, recipe: Recipe, axes: Sequence[int | str], free: dict[str, FreeSize]) -> None:
    """Resize and crop by the recipe; then, if the size is not legal for the network, resize to a legal one."""
    size: Sequence[int] | None = None
    if isinstance(recipe.resize, int):
        _resized(steps, "resized", _shorter(steps, recipe.resize), recipe)
    elif recipe.resize is not None:
        size = recipe.resize
        _resized(steps, "resized", steps.ints("resized_size", *size), recipe)
    if recipe.crop is not None and recipe.crop != size:
        size = recipe.crop
        _cropped(steps, size, pads=not isinstance(recipe.resize, int) or recipe.resize < max(size))
    if all(isinstance(axis, int) for axis in axes):
        if tuple(axes) != size:
            _resized(steps, "stretched", steps.ints("stretched_size", *map(int, axes)), recipe)
        return
    least = [axis if isinstance(axis, int) else free[axis].minimum for axis in axes]
    multiples = [1 if isinstance(axis, int) else free[axis].step for axis in axes]
    fixed = [isinstance(axis, int) for axis in axes]
    if any(fixed) or max(least) > 1 or max(multiples) > 1:
        _resized(steps, "legal", _nearest(steps, least, multiples, fixed), recipe)


def _shorter(steps: _Steps, length: int) -> str:
    """The size with `length` as the shorter of height and width; the longer one is rounded down."""
    old = steps.size("size")
    long = steps.side("longer", "Mul", old, steps.ints("length", length))
    shortest = steps.side("shorter", "ReduceMin", old, steps.ints("both", 0), keepdims=1, noop_with_empty_axes=0)
    return steps.side("resized_size", "Div", long, shortest)


def _nearest(steps: _Steps, least: Sequence[int], multiples: Sequence[int], fixed: Sequence[bool]) -> str:
    """The largest legal size up to the present one, or the smallest; that of a fixed axis is `least`."""
    old, lowest = steps.size("size_before"), steps.ints("least", *least)
    rest = steps.side("above", "Sub", old, lowest)
    steps_up = steps.ints("step", *multiples)
    legal = steps.side("lower", "Sub", old, steps.side("rest", "Mod", rest, steps_up, fmod=0))
    if any(fixed):
        legal = steps.side("lower_of_free", "Mul", legal, steps.ints("free", *(int(not one) for one in fixed)))
    return steps.side("legal_size", "Max", legal, lowest)


def _resized(steps: _Steps, what: str, size: str, recipe: Recipe) -> None:
    """Resize along one axis, then along the other, and round to whole levels after each, as Pillow does."""
    for part, target in (("first", _first_pass(steps, what, size)), ("second", size)):
        steps.step(
            f"{what}_{part}",
            "Resize",
            "",
            "",
            target,
            antialias=1,
            axes=(2, 3),
            coordinate_transformation_mode="half_pixel",
            cubic_coeff_a=-0.5,
            exclude_outside=1,
            extrapolation_value=0.0,
            keep_aspect_ratio_policy="stretch",
            mode=_MODES[recipe.interpolation],
            nearest_mode="floor",
        )
        steps.step(f"{what}_{part}_plus_half", "Add", steps.floats("half", 0.5))
        steps.step(f"{what}_{part}_levels", "Floor")
        if recipe.interpolation == "bicubic":
            least, most = steps.floats("black", 0.0), steps.floats("white", 255.0)
            steps.step(f"{what}_{part}_in_range", "Clip", least, most)


def _first_pass(steps: _Steps, what: str, size: str) -> str:
    """The size between the two passes: Pillow 13 begins with the height if that falls by more than twice as many pixels
    as the width, else with the width."""
    old = steps.size(f"{what}_from")
    fall = steps.side(f"{what}_fall", "Sub", old, size)
    of_height, of_width = (
        steps.side(f"{what}_fall_of_{axis}", "Gather", fall, steps.ints(f"{axis}_of", index), axis=0)
        for index, axis in enumerate(("height", "width"))
    )
    twice = steps.side(f"{what}_twice", "Mul", of_width, steps.ints("two", 2))
    limit = steps.side(f"{what}_limit", "Max", twice, steps.ints("none", 0))
    height_first = steps.side(f"{what}_height_first", "Greater", of_height, limit)
    width_first = steps.side(f"{what}_width_first", "Not", height_first)
    changed = steps.side(f"{what}_changed", "Concat", height_first, width_first, axis=0)
    return steps.side(f"{what}_between", "Where", changed, size, old)


def _cropped(steps: _Steps, size: Sequence[int], pads: bool) -> None:
    """The centre; a smaller image is padded with black. Half of an odd pixel is rounded to an even number for a crop,
    and goes to the end of a pad, as in torchvision's `CenterCrop`."""
    crop = steps.ints("crop_size", *size)
    axes = steps.ints("height_and_width", 2, 3)
    if pads:
        missing = steps.side(
            "missing", "Max", steps.side("less", "Sub", crop, steps.size("uncropped")), steps.ints("none", 0)
        )
        before = steps.side("pad_before", "Div", missing, steps.ints("two", 2))
        sides = steps.side("pads", "Concat", before, steps.side("pad_after", "Sub", missing, before), axis=0)
        steps.step("padded", "Pad", sides, steps.floats("outside", 0.0), axes, mode="constant")
    surplus = steps.side("surplus", "Sub", steps.size("crop_from"), crop)
    halves = steps.side("surplus_levels", "Cast", surplus, saturate=1, to=ONNX_TYPES["float32"])
    halves = steps.side("halves", "Round", steps.side("halved", "Mul", halves, steps.floats("half", 0.5)))
    start = steps.side("crop_start", "Cast", halves, saturate=1, to=ONNX_TYPES["int64"])
    end = steps.side("crop_end", "Add", start, crop)
    steps.step("cropped", "Slice", start, end, axes, steps.ints("steps", 1, 1))


def _normalised(steps: _Steps, recipe: Recipe) -> None:
    """In the order of `runtime/preprocess.py`, so that float32 rounds the same."""
    steps.step("values", "Div", steps.floats("white", 255.0))
    if recipe.scale != 1.0:
        steps.step("scaled", "Mul", steps.floats("scale", recipe.scale))
    if any(recipe.mean):
        steps.step("centred", "Sub", steps.floats("mean", *recipe.mean))
    if any(value != 1.0 for value in recipe.std):
        steps.step("normalised", "Div", steps.floats("std", *recipe.std))


def _cannot(why: str, help: str) -> ArchError:
    return error("E0871", f"cannot embed the preprocessing: {why}", status=2, help=help)
