"""Writes the node that a layer of another tool stands for, with the fields that differ from the defaults of its op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from archdsl.ops import OPS_BY_NAME


class Layer(NamedTuple):
    """An op with its fields, `norm` and `act`, and the names of its inputs."""

    op: str
    fields: dict[str, Any]
    inputs: tuple[str, ...] = ()


def nodes_text(layers: Sequence[Layer]) -> str:
    """Return the text of a node: one op in the short form, or a list of several."""
    texts = [node_text(layer) for layer in layers]
    if len(texts) == 1:
        return texts[0]
    return "[" + ", ".join(f'"{text}"' if "," in text or "[" in text else text for text in texts) + "]"


def node_text(layer: Layer) -> str:
    """Return the short form of a layer. The values of `fields` are those of the op, or expressions as strings."""
    op = OPS_BY_NAME[layer.op]
    fields = {name: _single(v) for name, v in layer.fields.items() if v is not None}
    kernel = fields.pop("kernel", None)
    words = [op.name]
    if kernel is not None:
        sizes = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        if all(type(size) is int for size in sizes):
            words.insert(0, "x".join(map(str, sizes)))
        else:
            words.append(f"kernel={_shown(kernel)}")
    _set_padding(op.name, fields, kernel)
    if fields.get("stride") == kernel and "pool" in op.name:
        del fields["stride"]
    norm, act = fields.pop("norm", None), fields.pop("act", None)
    if norm is not None and fields.get("bias") is False:
        del fields["bias"]
    gap = False
    for name, field in op.model_fields.items():
        written = fields.pop(name, None)
        if written is None or (not field.is_required() and written == _single(field.default)):
            gap = gap or name in op.positional
            continue
        flag = next((word for word, setting in op.flags.items() if setting == (name, written)), None)
        plain = type(written) is int or isinstance(written, str)
        if flag is not None:
            words.append(flag)
        elif name == "stride" and plain:
            words.append(f"/{_shown(written)}")
        elif name in op.positional and not gap:
            words.append(_shown(written))
        else:
            words.append(f"{name}={_shown(written)}")
    words += [word for word in (norm, act) if word is not None]
    return " ".join(words) + (f" <- {', '.join(layer.inputs)}" if layer.inputs else "")


def _set_padding(op: str, fields: dict[str, Any], kernel: Any) -> None:
    """Replace the padding by `valid`, `same` or pixels; remove it if it is what the op does without it."""
    pad = fields.pop("pad", None)
    if isinstance(pad, str):
        pad = {"valid": 0, "zeros": None}.get(pad.lower(), pad.lower())
    if pad is None or op not in ("conv", "dwconv", "deconv", "maxpool", "avgpool"):
        return
    sizes = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    known = all(type(size) is int for size in sizes)
    odd = known and all(size % 2 for size in sizes)
    dilation = fields.get("dilation", 1)
    default: Any = 0
    if op in ("conv", "dwconv"):
        reach = dilation if isinstance(dilation, tuple) else (dilation, dilation)
        if known and all(type(d) is int for d in reach):
            default = _single(tuple(d * (k // 2) if k % 2 else 0 for d, k in zip(reach, sizes, strict=False)))
        if pad == "same" and odd and fields.get("stride", 1) == 1:
            return
    if pad == "same" and op == "deconv":
        return
    if op == "deconv" and pad == 0 and kernel == fields.get("stride", 1) and dilation == 1:
        return
    if pad == default and (known or op not in ("conv", "dwconv")) and op != "deconv":
        return
    if isinstance(pad, tuple) and len(pad) == 2:
        pad = (*pad, *pad)
    fields["pad"] = "valid" if pad == 0 and op in ("conv", "dwconv") else pad


def _single(item: Any) -> Any:
    """A pair of equal numbers as one number."""
    return item[0] if isinstance(item, tuple) and len(item) == 2 and item[0] == item[1] else item


def _shown(item: Any) -> str:
    if isinstance(item, tuple):
        return f"[{','.join(map(_shown, item))}]"
    if isinstance(item, bool):
        return str(item).lower()
    return str(item)
