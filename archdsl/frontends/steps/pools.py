"""Pools."""

from __future__ import annotations

from typing import Any

from archdsl import ops
from archdsl.frontends.onnx_model import Step
from archdsl.frontends.reading import Reading, Unknown
from archdsl.frontends.steps.layers import pad_field, pads_of, pair_of


def pool_fields(step: Step) -> dict[str, Any]:
    kernel, stride = pair_of(step, "kernel_shape"), pair_of(step, "strides")
    return {
        "kernel": kernel,
        "stride": stride if stride != kernel else None,
        "pad": pad_field(pads_of(step)),
        "ceil": bool(step.attributes.get("ceil_mode", 0)),
    }


def maxpool(r: Reading, step: Step) -> None:
    if len(step.outputs) > 1 and step.outputs[1]:
        raise Unknown("its indices are used")
    r.add(step, ops.MaxPool(**pool_fields(step), dilation=pair_of(step, "dilations")), step.outputs[0])


def avgpool(r: Reading, step: Step) -> None:
    fields = pool_fields(step)
    inside = not step.attributes.get("count_include_pad", 0) and fields["pad"] != 0
    r.add(step, ops.AvgPool(**fields, inside=inside), step.outputs[0])


def gap(r: Reading, step: Step) -> None:
    r.add(step, ops.Gap(), step.outputs[0])


def reduce_mean(r: Reading, step: Step) -> None:
    given = r.constant(step, 1)
    axes = tuple(int(a) for a in (given if given is not None else step.attributes.get("axes", ())))
    last = step.inputs[0] in r.last
    if axes == (1,) and not last and centred(r, step):
        return
    if sorted(a % 4 for a in axes) != ([1, 2] if last else [2, 3]):
        raise Unknown("it is not the mean over height and width")
    if step.attributes.get("keepdims", 1):
        gap(r, step)
        return
    middle = f"{step.outputs[0]}/mean"
    r.add(step, ops.Gap(), middle)
    r.add(step, ops.Flatten(), step.outputs[0], inputs=[middle])
    r.last -= {middle, step.outputs[0]}


def centred(r: Reading, step: Step) -> bool:
    """The mean over channels that is taken off before a layer norm, as archdsl writes it: the norm does it itself."""
    found = r.behind(step.outputs[0], "Sub")
    if found is None or found[1].inputs != (step.inputs[0], step.outputs[0]):
        return False
    value = found[1].outputs[0]
    turned = r.behind(value, "Transpose")
    if r.behind(turned[1].outputs[0] if turned else value, "LayerNormalization") is None:
        return False
    r.done.add(found[0])
    r.same[value] = r.value(step.inputs[0])
    return True
