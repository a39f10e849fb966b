"""What works on one value at a time: activations, and constants that multiply or are added."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from archdsl import ops
from archdsl.frontends.onnx_model import Array, Step
from archdsl.frontends.reading import Reading, Recogniser, Unknown, single
from archdsl.ops.base import Op
from archdsl.shapes import concrete


def act(make: Callable[[Step], Op]) -> Recogniser:
    return lambda r, step: r.add(step, make(step), step.outputs[0])


def attribute(step: Step, name: str, default: float) -> float:
    return single(step.attributes.get(name, default))


def clip(r: Reading, step: Step) -> None:
    given = [r.constant(step, n) for n in (1, 2)]
    low, high = (
        float(g) if g is not None else step.attributes.get(n) for g, n in zip(given, ("min", "max"), strict=True)
    )
    if (low, high) == (0.0, 6.0):
        r.add(step, ops.Relu6(), step.outputs[0])
    elif low == 0.0 and high is None:
        r.add(step, ops.Relu(), step.outputs[0])
    else:
        raise Unknown(f"only a clip from 0 to 6 is an activation here, not from {low} to {high}")


def gated(gate: Op, whole: Op) -> Recogniser:
    """`gate(x)`, or `x * gate(x)` where the product is all that it is for."""

    def recogniser(r: Reading, step: Step) -> None:
        found = r.behind(step.outputs[0], "Mul")
        if found is not None and {r.value(i) for i in found[1].inputs} == {r.value(step.inputs[0]), step.outputs[0]}:
            r.done.add(found[0])
            r.add(step, whole, found[1].outputs[0])
        else:
            r.add(step, gate, step.outputs[0])

    return recogniser


def hardsigmoid(r: Reading, step: Step) -> None:
    if abs(step.attributes.get("alpha", 0.2) - 1 / 6) > 1e-6 or step.attributes.get("beta", 0.5) != 0.5:
        raise Unknown("its slope is not 1/6")
    gated(ops.HardSigmoid(), ops.HardSwish())(r, step)


def softmax(r: Reading, step: Step) -> None:
    axis = step.attributes.get("axis", -1)
    if axis not in (1, -1 if len(r.shape(step.inputs[0])) == 1 else 1):
        raise Unknown("it is not over the channels")
    r.add(step, ops.Softmax(), step.outputs[0])


def gelu(r: Reading, step: Step) -> None:
    r.add(step, ops.Gelu(approximate=step.attributes.get("approximate", "none") == "tanh"), step.outputs[0])


def div(r: Reading, step: Step) -> None:
    """By a constant; or the first step of GELU as it was written before ONNX had it: x/sqrt(2), Erf, +1, *x, *0.5."""
    by = r.numbers(step, 1, "divisor")
    if by.size == 1 and abs(float(by.reshape(())) - 2**0.5) < 1e-5 and old_gelu(r, step):
        return
    affine(r, step, 1.0 / by.astype(np.float64), None)


def old_gelu(r: Reading, step: Step) -> bool:
    chain = []
    at = step.outputs[0]
    for op_type in ("Erf", "Add", "Mul", "Mul"):
        found = r.behind(at, op_type)
        if found is None:
            return False
        chain.append(found[0])
        at = found[1].outputs[0]
    r.done.update(chain)
    r.add(step, ops.Gelu(), at)
    return True


def nothing(r: Reading, step: Step) -> None:
    r.same[step.outputs[0]] = r.value(step.inputs[0])
    if step.inputs[0] in r.last:
        r.last.add(step.outputs[0])


def affine(r: Reading, step: Step, mul: Array | None, add: Array | None) -> None:
    """Constants that multiply or are added: one number, or one per channel."""
    (source,) = (i for i in step.inputs if i not in r.constants)
    fields = {}
    for name, numbers in (("mul", mul), ("add", add)):
        if numbers is not None:
            fields[name] = per_channel(r, source, numbers)
    r.add(step, ops.Affine(**fields), step.outputs[0], inputs=[source])


def per_channel(r: Reading, source: str, numbers: Array) -> float | tuple[float, ...]:
    if numbers.size == 1:
        return single(float(numbers.reshape(())))
    shape = r.shape(source)
    last = source in r.last
    wanted = {(numbers.size,)} if last or len(shape) == 1 else {(numbers.size, 1, 1), (1, numbers.size, 1, 1)}
    if numbers.size != concrete(shape)[0] or numbers.shape not in wanted | {(1, numbers.size)} | (
        {(1, 1, 1, numbers.size)} if last else set()
    ):
        raise Unknown("its constant is neither one number nor one per channel")
    return tuple(single(float(v)) for v in numbers.reshape(-1))
