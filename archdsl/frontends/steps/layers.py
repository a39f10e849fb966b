"""Layers with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from archdsl import ops
from archdsl.frontends.onnx_model import Array, Step
from archdsl.frontends.reading import Reading, Unknown, single


def module_of(step: Step, index: int = 1) -> str | None:
    """The module that a weight belongs to by its name: `layer1.0.conv1.weight`."""
    module, _, last = step.inputs[index].rpartition(".")
    return module if last in ("weight", "bias", "running_mean") else step.module


def bias_of(reading: Reading, step: Step, index: int) -> dict[str, Array]:
    if len(step.inputs) <= index or not step.inputs[index]:
        return {}
    return {"bias": reading.numbers(step, index, "bias")}


def pads_of(step: Step) -> tuple[int, int, int, int]:
    if step.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Unknown("its padding is left to the runtime (auto_pad)")
    top, left, bottom, right = step.attributes.get("pads", (0, 0, 0, 0))
    return top, left, bottom, right


def pair_of(step: Step, name: str, default: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    value = tuple(step.attributes.get(name, default))
    if len(value) != 2:
        raise Unknown("it is not two-dimensional")
    return value[0], value[1]


def pad_field(pads: tuple[int, int, int, int]) -> Any:
    return pads[0] if len(set(pads)) == 1 else pads


def conv(r: Reading, step: Step) -> None:
    weight = r.numbers(step, 1, "weight")
    if weight.ndim != 4:
        raise Unknown("it is not two-dimensional")
    bias = bias_of(r, step, 2)
    op = ops.Conv(
        out=weight.shape[0],
        kernel=weight.shape[2:],
        stride=pair_of(step, "strides"),
        dilation=pair_of(step, "dilations"),
        groups=step.attributes.get("group", 1),
        bias=bool(bias),
    )
    pads = pads_of(step)
    if pads != op.pads(r.shape(step.inputs[0])):
        op = op.model_copy(update={"pad": pad_field(pads)})
    r.add(step, op, step.outputs[0], {"weight": weight, **bias}, module=module_of(step))


def deconv(r: Reading, step: Step) -> None:
    weight = r.numbers(step, 1, "weight")
    pads, extra = pads_of(step), pair_of(step, "output_padding", (0, 0))
    if len(set(pads)) != 1 or extra[0] != extra[1] or "output_shape" in step.attributes:
        raise Unknown("its padding is uneven")
    groups = step.attributes.get("group", 1)
    bias = bias_of(r, step, 2)
    op = ops.Deconv(
        out=weight.shape[1] * groups,
        kernel=weight.shape[2:],
        stride=pair_of(step, "strides"),
        groups=groups,
        dilation=pair_of(step, "dilations"),
        pad=pads[0],
        extra=extra[0],
        bias=bool(bias),
    )
    r.add(step, op, step.outputs[0], {"weight": weight, **bias}, module=module_of(step))


def gemm(r: Reading, step: Step) -> None:
    facts = step.attributes
    if facts.get("transA", 0) or facts.get("alpha", 1.0) != 1.0 or facts.get("beta", 1.0) != 1.0:
        raise Unknown("it is more than a fully connected layer (alpha, beta, transA)")
    weight = r.numbers(step, 1, "weight")
    fully_connected(r, step, weight if facts.get("transB", 0) else weight.T, bias_of(r, step, 2), step.outputs[0])


def matmul(r: Reading, step: Step) -> None:
    """A product with a matrix, and the bias that is added behind."""
    weight = r.numbers(step, 1, "matrix")
    if weight.ndim != 2:
        raise Unknown("its matrix has more than two axes")
    output, bias = step.outputs[0], {}
    found = r.behind(output, "Add")
    if found is not None:
        number, adding = found
        numbers = next((r.constants[i] for i in adding.inputs if i in r.constants), None)
        if numbers is not None and numbers.shape in ((weight.shape[1],), (1, weight.shape[1])):
            r.done.add(number)
            output, bias = adding.outputs[0], {"bias": numbers.reshape(-1)}
    fully_connected(r, step, weight.T, bias, output)


def fully_connected(r: Reading, step: Step, weight: Array, bias: dict[str, Array], output: str) -> None:
    last = step.inputs[0] in r.last
    kernel = (1, 1) if last else None
    if not last and len(r.shape(step.inputs[0])) != 1:
        raise Unknown("it works on the last axis of an image whose channels come first")
    op = ops.Fc(out=weight.shape[0], kernel=kernel, bias=bool(bias))
    bias = {name: numbers.reshape(-1) for name, numbers in bias.items()}
    r.add(step, op, output, {"weight": weight, **bias}, module=module_of(step))


def bn(r: Reading, step: Step) -> None:
    if step.attributes.get("training_mode", 0):
        raise Unknown("it was exported for training")
    names = ("weight", "bias", "running_mean", "running_var")
    tensors = {name: r.numbers(step, n + 1, name) for n, name in enumerate(names)}
    tensors["num_batches_tracked"] = np.zeros((), np.int64)
    r.add(
        step, ops.Bn(eps=single(step.attributes.get("epsilon", 1e-5))), step.outputs[0], tensors, module=module_of(step)
    )


def instancenorm(r: Reading, step: Step) -> None:
    """Without tensors of its own where it multiplies by ones and adds zeros that no module calls its weight."""
    tensors = {"weight": r.numbers(step, 1, "scale"), "bias": r.numbers(step, 2, "shift")}
    affine = step.inputs[1].endswith(".weight") or bool((tensors["weight"] != 1).any() or tensors["bias"].any())
    op = ops.InstanceNorm(eps=single(step.attributes.get("epsilon", 1e-5)), affine=affine)
    r.add(step, op, step.outputs[0], tensors if affine else {}, module=module_of(step))


def ln(r: Reading, step: Step) -> None:
    value, axis = step.inputs[0], step.attributes.get("axis", -1)
    if axis not in ((-1, 3) if value in r.last else (-1, 1)) or (value not in r.last and len(r.shape(value)) != 1):
        raise Unknown("it is not over the channels alone")
    weight = r.numbers(step, 1, "scale")
    bias = r.constant(step, 2)
    tensors = {"weight": weight, "bias": bias if bias is not None else np.zeros_like(weight)}
    r.add(
        step, ops.Ln(eps=single(step.attributes.get("epsilon", 1e-5))), step.outputs[0], tensors, module=module_of(step)
    )


def lrn(r: Reading, step: Step) -> None:
    facts = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0, **step.attributes}
    r.add(
        step,
        ops.Lrn(size=facts["size"], alpha=single(facts["alpha"]), beta=single(facts["beta"]), k=single(facts["bias"])),
        step.outputs[0],
    )


def lrn_by_pool(r: Reading, step: Step) -> bool:
    """LRN as archdsl writes it: from x*x on, a mean over channels by an average pool, and the division of x."""
    chain = [step]
    numbers: list[int] = []
    for op_type in ("Reshape", "Pad", "AveragePool", "Reshape", "Mul", "Add", "Pow", "Div"):
        found = r.behind(chain[-1].outputs[0], op_type)
        if found is None:
            return False
        numbers.append(found[0])
        chain.append(found[1])
    _, _, padding, pool, _, times, plus, power, division = chain
    (size, across), pads = pool.attributes["kernel_shape"], r.numbers(padding, 1, "padding")
    if across != 1 or division.inputs[0] != step.inputs[0] or [*pads] != [0, 0, size // 2, 0, 0, 0, (size - 1) // 2, 0]:
        return False
    alpha, k, beta = (single(float(r.numbers(s, 1, "constant").reshape(()))) for s in (times, plus, power))
    r.done.update(numbers)
    r.add(step, ops.Lrn(size=size, alpha=alpha, beta=beta, k=k), division.outputs[0])
    return True


def prelu(r: Reading, step: Step) -> None:
    slopes = r.numbers(step, 1, "slope").reshape(-1)
    r.add(step, ops.PRelu(shared=slopes.size == 1), step.outputs[0], {"weight": slopes}, module=module_of(step))
