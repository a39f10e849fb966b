"""Padding and crops of other tools that a field of an op does not have: causal padding, crops that differ by axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl.language.foreign.calls import Hint
from archdsl.language.foreign.write import Layer
from archdsl.ops.conv import Deconv


def sides(op: str, fields: Mapping[str, Any], axes: int) -> tuple[dict[str, Any], list[Layer]]:
    """Return the fields of an op with padding that it has, and the layers that crop after it.

    Raises Hint for causal padding of an image.
    """
    if str(fields.get("pad")).lower() == "causal":
        return _causal(op, fields, axes), []
    if op == "deconv":
        return _transposed(dict(fields), axes)
    return dict(fields), []


def _causal(op: str, fields: Mapping[str, Any], axes: int) -> dict[str, Any]:
    """All padding of a signal is before it, so that no sample reads a later one."""
    if axes != 1 or "kernel" not in fields:
        raise Hint(f"causal padding is for signals: write `pad=[...]` of the `{op}`, begins before ends")
    kernel, dilation = (_first(fields.get(name, 1)) for name in ("kernel", "dilation"))
    before: Any = f"{kernel}-1" if dilation == 1 else f"{dilation}*({kernel}-1)"
    if type(kernel) is int and type(dilation) is int:
        before = dilation * (kernel - 1)
    return {**fields, "pad": (before, 0)}


def _first(item: Any) -> Any:
    return item[0] if isinstance(item, tuple) and len(item) == 1 else item


def _transposed(fields: dict[str, Any], axes: int) -> tuple[dict[str, Any], list[Layer]]:
    """A deconv without `pad` and `extra` that are the default ones, or with a crop of its own if its sides differ."""
    names = ("kernel", "stride", "dilation", "pad", "extra")
    values = [fields.get(name, 0 if name in names[3:] else 1) for name in names]
    per_axis = [item if isinstance(item, tuple) else (item,) * axes for item in values]
    if not axes or any(type(size) is not int or len(item) != axes for item in per_axis for size in item):
        return fields, []
    kernel, stride, dilation, pads, extras = per_axis
    bare = {name: item for name, item in fields.items() if name not in names[3:]}
    if min(*kernel, *stride, *dilation) < 1:
        return fields, []
    op = Deconv.model_construct(out=1, kernel=kernel, stride=stride, dilation=dilation, pad=None, extra=None)
    if op.crops() == tuple(zip(pads, extras, strict=True)):
        return bare, []
    ends = [pad - extra for pad, extra in zip(pads, extras, strict=True)]
    if len({*pads}) == len({*extras}) == 1 or min(ends) < 0:
        return fields, []
    return {**bare, "pad": 0}, [Layer("pad", {"pixels": tuple(-side for side in (*pads, *ends))}, axes=axes)]
