"""Small ONNX graphs of one op or one pattern, in rows; `outcome` holds what archdsl imports against ONNX Runtime.

In most rows all sizes are equal or divide each other, so that no size gives a wrong axis away.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from archdsl import loads
from archdsl.backends.spec.recover import stay_flat
from archdsl.diagnostics import ArchError
from archdsl.frontends.onnx_model import from_proto
from archdsl.frontends.to_spec import to_spec

ort.set_default_logger_severity(4)
TOLERANCE = 1e-4


class Case(NamedTuple):
    """A graph from `x`, of shape `size` with the batch, to `y`. `op_type` is the row's title."""

    op_type: str
    nodes: tuple[Any, ...]
    constants: dict[str, Any]
    size: tuple[int, ...]
    opset: int
    outputs: tuple[str, ...] = ("y",)

    def model(self) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.size)
        y = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in self.outputs]
        tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in self.constants.items()]
        nodes = [helper.make_node(n.op_type, n.inputs, n.outputs, **n.attributes) for n in self.nodes]
        graph = helper.make_graph(nodes, "g", [x], y, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)

    def __str__(self) -> str:
        nodes = "; ".join(f"{n.op_type}{tuple(n.inputs)} {n.attributes or ''}" for n in self.nodes)
        shapes = {name: np.asarray(v).tolist() if np.size(v) < 9 else np.shape(v) for name, v in self.constants.items()}
        return f"{self.op_type} at {self.opset} of {self.size}: {nodes} with {shapes}"


class N(NamedTuple):
    """A node."""

    op_type: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: dict[str, Any]


def expected(model: onnx.ModelProto, x: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]] | None:
    """What ONNX Runtime computes; None if it refuses the model."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return list(session.run(None, {session.get_inputs()[0].name: x}))
    except Exception:  # of many types
        return None


def held(model: onnx.ModelProto, x: np.ndarray[Any, Any]) -> str:
    """`equal`, `refused`, `invalid` if archdsl reads it and ONNX Runtime does not; else what is wrong."""
    given = x
    try:
        source = from_proto(model)
        x = np.moveaxis(x, -1, 1) if source.channels_last else x
        imported = to_spec(source, "net", dict.fromkeys(source.shapes, x.shape[1:]), "test", stay_flat)
    except (ArchError, ValueError):
        return "refused"
    wanted = expected(model, given)
    if wanted is None:
        return "invalid"
    module = loads(imported.text).to_torch(dict(imported.weights()))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = module(torch.from_numpy(x.copy()))
    values = [result] if isinstance(result, torch.Tensor) else list(result)
    for one, other in zip(wanted, values, strict=True):
        if one.shape != tuple(other.shape):
            return f"the shape {tuple(other.shape)} for {one.shape}"
        difference = np.abs(np.nan_to_num(one) - np.nan_to_num(other.numpy())).max()
        if difference > TOLERANCE * max(1.0, float(np.abs(np.nan_to_num(one)).max())):
            return f"numbers that differ by {difference:.3g}"
    return "equal"


def outcome(case: Case) -> str:
    x = np.random.default_rng(7).standard_normal(case.size).astype(np.float32)
    return held(case.model(), x)


# --- rows ----------------------------------------------------------------------------------------------------------

CASES: list[Case] = []
IMAGE, SQUARE, SIGNAL, VECTOR, VOLUME = (1, 4, 8, 6), (1, 4, 4, 4), (1, 4, 4), (1, 4), (1, 2, 4, 4, 4)
_RNG = np.random.default_rng(3)


def w(*shape: int) -> np.ndarray[Any, Any]:
    return _RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray[Any, Any]:
    return np.array(values, np.int64)


def f(value: float) -> np.ndarray[Any, Any]:
    return np.array(value, np.float32)


def n(op_type: str, inputs: str, output: str = "y", **attributes: Any) -> N:
    """A node with inputs such as `x w`; `_` is none."""
    return N(op_type, ["" if i == "_" else i for i in inputs.split()], output.split(), attributes)


def row(
    title: str, size: tuple[int, ...], *nodes: N, opset: int = 17, outputs: tuple[str, ...] = ("y",), **constants: Any
) -> None:
    CASES.append(Case(title, nodes, constants, size, opset, outputs))


def one(op: str, size: tuple[int, ...], opset: int = 17, /, **options: Any) -> None:
    """A graph of one node: arrays are constant inputs, in order, and the other options attributes; None is absent."""
    arrays = {key: value for key, value in options.items() if value is None or isinstance(value, np.ndarray)}
    names = " ".join(["x", *("_" if value is None else key for key, value in arrays.items())])
    attributes = {key: value for key, value in options.items() if key not in arrays}
    row(op, size, n(op, names, **attributes), opset=opset, **{k: v for k, v in arrays.items() if v is not None})


def activations() -> None:
    for op in "Relu LeakyRelu Elu Selu Softplus Softsign Tanh Sigmoid HardSigmoid Abs Neg Identity Clip".split():
        for size in (IMAGE, VECTOR):
            one(op, size, 12)
    for op, opset in (("HardSwish", 14), ("Mish", 18), ("Celu", 12), ("Gelu", 20), ("Exp", 13), ("Erf", 13)):
        one(op, IMAGE, opset)
    for alpha in (0.1, 0.5):
        for op in ("LeakyRelu", "Elu", "Celu", "HardSigmoid"):
            one(op, IMAGE, 13, alpha=alpha)
        one("Selu", IMAGE, 13, alpha=alpha)
    one("HardSigmoid", IMAGE, 13, alpha=1 / 6, beta=0.5)
    one("HardSigmoid", IMAGE, 13, alpha=1 / 6, beta=0.4)
    one("Gelu", IMAGE, 20, approximate="tanh")
    for low, high in ((0, 6), (0, 1), (-1, 1), (-2.5, 0.5), (1, -1)):
        one("Clip", IMAGE, 13, low=f(low), high=f(high))
        one("Clip", IMAGE, 10, min=float(low), max=float(high))
        one("Clip", IMAGE, 13, low=None, high=f(high))
        one("Clip", IMAGE, 10, min=float(low))
    for op in ("Max", "Min"):
        one(op, IMAGE, 13, k=f(0.5))
        one(op, IMAGE, 13, k=w(4, 1, 1))
        row(op, IMAGE, n("Relu", "x", "a"), n(op, "x a"))
    for slope in (w(4, 1, 1), w(1, 4, 1, 1), w(4), w(1), w(1, 1, 1), w(1, 4), w(4, 4, 4), w(4, 1), w(1, 4, 1)):
        for size in (SQUARE, SIGNAL, VECTOR):
            for opset in (8, 16):
                one("PRelu", size, opset, slope=slope)


def softmaxes() -> None:
    for op in ("Softmax", "LogSoftmax"):
        for size in (SQUARE, (1, 4, 1, 1), VECTOR, SIGNAL, (1, 1, 4, 4)):
            for opset in (11, 13):
                one(op, size, opset)
                for axis in (1, -1, 2, 0):
                    one(op, size, opset, axis=axis)


def constants() -> None:
    shapes = [(), (1,), (4,), (1, 4), (4, 1), (4, 1, 1), (1, 4, 1, 1), (1, 1, 1, 4), (1, 4, 1), (1, 1, 1, 1, 1), (4, 4)]
    for op in ("Add", "Sub", "Mul", "Div"):
        for shape in shapes:
            for size in (SQUARE, SIGNAL, VECTOR):
                one(op, size, 13, k=np.asarray(np.abs(w(*shape)) + 0.5, np.float32))
        row(op, SQUARE, n(op, "k x"), k=np.abs(w(4, 1, 1)) + 0.5)
        row(op, SQUARE, n(op, "k x"), k=f(2))
        for other in ((1, 4, 1, 1), (1, 1, 4, 4), (1, 4, 4, 4)):
            axes = [axis for axis in range(4) if other[axis] == 1 and axis]
            reduce = n("ReduceMax", "x", "a", axes=axes, keepdims=1) if axes else n("Sigmoid", "x", "a")
            row(op, SQUARE, reduce, n(op, "x a"), opset=13)
        row(op, SQUARE, n("ReduceMean", "x", "a", axes=[2, 3], keepdims=0), n(op, "x a"), opset=13)
        row(op, SQUARE, n("Transpose", "x", "a", perm=[0, 2, 3, 1]), n(op, "x a"), opset=13)
    row("Sum", SQUARE, n("Relu", "x", "a"), n("Abs", "x", "b"), n("Sum", "x a b"))
    row("Sum", SQUARE, n("Sum", "x k"), k=w(4, 1, 1))


def convolutions() -> None:
    for pads in ({}, {"pads": [1, 1, 1, 1]}, {"pads": [0, 1, 2, 1]}, {"auto_pad": "SAME_UPPER"},
                 {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"}):  # fmt: skip
        for stride in (1, 2):
            for kernel in (2, 3):
                one("Conv", IMAGE, 11, w=w(5, 4, kernel, kernel), strides=[stride] * 2, **pads)
                one("MaxPool", IMAGE, 12, kernel_shape=[kernel] * 2, strides=[stride] * 2, **pads)
                for include in (0, 1):
                    options = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "count_include_pad": include}
                    one("AveragePool", IMAGE, 11, **options, **pads)
                if "auto_pad" not in pads:
                    one("ConvTranspose", IMAGE, 11, w=w(4, 5, kernel, kernel), strides=[stride] * 2, **pads)
    one("ConvTranspose", IMAGE, 11, w=w(4, 5, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    one("ConvTranspose", IMAGE, 11, w=w(4, 5, 3, 3), strides=[2, 2], output_padding=[1, 0])
    one("ConvTranspose", IMAGE, 11, w=w(4, 5, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER")
    one("ConvTranspose", IMAGE, 11, w=w(4, 5, 3, 3), strides=[2, 2], output_shape=[16, 12])
    for ceil in (0, 1):
        for op in ("MaxPool", "AveragePool"):
            one(op, (1, 4, 7, 9), 12, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=ceil)
            one(op, (1, 4, 7, 9), 12, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=ceil, pads=[1, 1, 1, 1])
    one("AveragePool", (1, 4, 7, 9), 19, kernel_shape=[2, 2], dilations=[2, 2])
    one("MaxPool", (1, 4, 7, 9), 12, kernel_shape=[2, 2], dilations=[2, 2])
    one("MaxPool", IMAGE, 12, kernel_shape=[2, 2], storage_order=1)
    for size, weight in ((SIGNAL, w(3, 4, 3)), (VOLUME, w(3, 2, 2, 2, 2)), (IMAGE, w(8, 1, 3, 3))):
        one("Conv", size, 11, w=weight, group=4 if size == IMAGE else 1)
    one("Conv", IMAGE, 11, w=w(6, 4, 3, 3), b=w(6), dilations=[2, 1])
    for bias in (w(6, 1, 1), w(1, 6, 1, 1), w(6), w(1, 1, 4), f(1)):
        row("Conv", (1, 4, 8, 8), n("Conv", "x w", "a"), n("Add", "a b"), w=w(6, 4, 3, 3), b=bias)
    for turned in (0, 1):
        row("ConvTurned", SQUARE, n("Transpose", "x", "a", perm=[0, 2, 3, 1]), n("Conv", "a w", "b"),
            n("Transpose", "b", "y" if turned else "c", perm=[0, 3, 1, 2]), w=w(4, 4, 1, 1),
            outputs=("y" if turned else "b",))  # fmt: skip
    one("GlobalAveragePool", IMAGE)
    one("GlobalMaxPool", IMAGE)


def norms() -> None:
    stats = {"s": w(4), "b": w(4), "m": w(4), "v": np.abs(w(4)) + 0.5}
    for size in (SQUARE, SIGNAL, VECTOR):
        one("BatchNormalization", size, 15, **stats)
        one("BatchNormalization", size, 8, **stats, epsilon=1e-3, spatial=1)
        one("BatchNormalization", size, 8, **stats, spatial=0)
        one("LayerNormalization", size, 17, s=w(4), b=w(4))
        one("LayerNormalization", size, 17, s=w(4), b=w(4), axis=1)
        one("LRN", size, 13, size=3, alpha=0.5)
    one("LRN", (1, 8, 4, 4), 13, size=4, alpha=0.5, beta=0.6, bias=2.0)
    one("LRN", (1, 8, 4, 4), 13, size=5, alpha=0.5, beta=0.6, bias=2.0)
    row("LayerNormalization", SQUARE, n("Transpose", "x", "a", perm=[0, 2, 3, 1]),
        n("LayerNormalization", "a s b", "c"), n("Transpose", "c", perm=[0, 3, 1, 2]), s=w(4), b=w(4))  # fmt: skip
    row("LayerNormalization", SQUARE, n("Transpose", "x", "a", perm=[0, 2, 3, 1]),
        n("LayerNormalization", "a s b", "c"), n("Transpose", "c", perm=[0, 3, 1, 2]), s=w(4, 1, 1),
        b=w(4))  # fmt: skip
    one("InstanceNormalization", SQUARE, 13, s=w(4), b=w(4))
    one("InstanceNormalization", SIGNAL, 13, s=w(4), b=w(4))
    one("GroupNormalization", SQUARE, 21, s=w(4), b=w(4), num_groups=2)
    one("GroupNormalization", SQUARE, 18, s=w(2), b=w(2), num_groups=2)
    for scale in (np.ones(2, np.float32), w(2)):
        row("GroupNormalization", SQUARE, n("Reshape", "x t", "a"), n("InstanceNormalization", "a s b", "c"),
            n("Shape", "x", "d"), n("Reshape", "c d"), t=ints(0, 2, -1), s=scale, b=0 * scale)  # fmt: skip


def fully_connected() -> None:
    for bias in (None, w(5), w(1, 5), f(1), w(1)):
        for options in ({"transB": 1}, {}, {"alpha": 2.0}, {"alpha": 0.5, "beta": 3.0}, {"transA": 1}):
            weight = w(5, 4) if options.get("transB") else w(4, 5)
            one("Gemm", VECTOR, 13, w=weight, b=bias, **options)
    one("MatMul", VECTOR, 13, w=w(4, 5))
    one("MatMul", SQUARE, 13, w=w(4, 5))
    one("MatMul", SQUARE, 13, w=w(2, 4, 4)[None][:, :1])
    for bias in (w(5), w(1, 5), w(5, 1)):
        row("MatMul", VECTOR, n("MatMul", "x w", "a"), n("Add", "a b"), w=w(4, 5), b=bias)
    row("MatMul", SQUARE, n("Transpose", "x", "a", perm=[0, 2, 3, 1]), n("MatMul", "a w", "b"), n("Add", "b k", "c"),
        n("Transpose", "c", perm=[0, 3, 1, 2]), w=w(4, 4), k=w(4))  # fmt: skip
    for perm in ([0, 2, 3, 1], [0, 1, 3, 2]):
        row("Gemm", (1, 4, 3, 2), n("Transpose", "x", "a", perm=perm), n("Flatten", "a", "b"), n("Gemm", "b w"),
            w=w(24, 5))  # fmt: skip
    for back in (n("Reshape", "d t", "e"), n("Unsqueeze", "d u", "e")):
        for act in ("Sigmoid", "Relu"):
            row("Gate", SQUARE, n("GlobalAveragePool", "x", "a"), n("Flatten", "a", "b"), n("Gemm", "b w", "c"),
                n(act, "c", "d"), back, n("Mul", "x e"), w=w(4, 4), t=ints(-1, 4, 1, 1), u=ints(2, 3))  # fmt: skip
            row("Gate", SQUARE, n("ReduceMean", "x", "b", axes=[2, 3], keepdims=0), n("MatMul", "b w", "c"),
                n(act, "c", "d"), back, n("Mul", "e x"), w=w(4, 4), t=ints(1, 4, 1, 1), u=ints(2, 3))  # fmt: skip


def reductions() -> None:
    for op in ("ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"):
        for axes in ([2, 3], [-1, -2], [1], [3], [2], [1, 2, 3], [0], [1, 2]):
            for keep in (0, 1):
                if op != "ReduceSum":
                    one(op, SQUARE, 13, axes=axes, keepdims=keep)
                one(op, SQUARE, 18, axes=ints(*axes), keepdims=keep)
        one(op, SQUARE, 18)
        one(op, SQUARE, 18, noop_with_empty_axes=1)
        for second in (2, 3):
            row(op, SQUARE, n(op, "x a", "b", keepdims=0), n(op, "b c", keepdims=0), a=ints(second), c=ints(2),
                opset=18)  # fmt: skip
    row("Mean", SQUARE, n("Reshape", "x t", "a"), n("ReduceMean", "a", axes=[2], keepdims=0), t=ints(0, 4, -1))
    row("Mean", SQUARE, n("Reshape", "x t", "a"), n("ReduceMean", "a", axes=[2], keepdims=0), t=ints(0, 2, -1))
    row("Mean", SQUARE, n("GlobalAveragePool", "x", "a"), n("Squeeze", "a s", "b"), n("Squeeze", "b t"), s=ints(3),
        t=ints(2))  # fmt: skip
    row("Mean", SQUARE, n("GlobalAveragePool", "x", "a"), n("Squeeze", "a"))
    row("Mean", SQUARE, n("Transpose", "x", "a", perm=[0, 2, 3, 1]), n("ReduceMean", "a", axes=[1, 2], keepdims=0))


def moves() -> None:
    for target in ((0, -1), (1, -1), (-1, 64), (4, -1), (2, -1), (2, 32), (0, 4, -1), (0, 0, 0, 0), (1, 4, 4, 4),
                   (0, 16, 2, 2), (-1,), (0, 0, -1)):  # fmt: skip
        one("Reshape", SQUARE, 14, t=ints(*target))
        one("Reshape", SQUARE, 14, t=ints(*target), allowzero=1)
    for axis in (0, 1, 2, -3, 4):
        one("Flatten", SQUARE, 13, axis=axis)
    for axes in ([2, 3], [2], [3], [1], [-1, -2], [0]):
        one("Squeeze", (1, 4, 1, 1), 11, axes=axes)
        one("Squeeze", (1, 4, 1, 1), 13, a=ints(*axes))
    one("Squeeze", (1, 4, 1, 1), 13)
    for perm in ([0, 2, 3, 1], [0, 1, 2, 3], [0, 1, 3, 2], [1, 0, 2, 3], [0, 3, 1, 2]):
        one("Transpose", SQUARE, 13, perm=perm)
        row("Transpose", SQUARE, n("Transpose", "x", "a", perm=perm), n("Relu", "a", "b"),
            n("Transpose", "b", perm=list(np.argsort(perm))))  # fmt: skip
    for groups in (2, 4):
        for perm in ([0, 2, 1, 3, 4], [0, 1, 2, 3, 4], [0, 2, 1, 4, 3]):
            row("Shuffle", (1, 8, 4, 4), n("Reshape", "x t", "a"), n("Transpose", "a", "b", perm=perm),
                n("Reshape", "b u"), t=ints(0, groups, 8 // groups, 4, 4), u=ints(0, 8, 4, 4))  # fmt: skip
    for mode in ("DCR", "CRD"):
        one("DepthToSpace", (1, 16, 4, 4), 13, blocksize=2, mode=mode)
    one("SpaceToDepth", SQUARE, 13, blocksize=2)
    for order in ((0, 2, 1, 3), (0, 1, 2, 3), (3, 2, 1, 0), (0, 1), (0, 0, 1, 1)):
        for axis in (1, 2):
            one("Gather", SQUARE, 13, o=ints(*order), axis=axis)


def parts() -> None:
    for axis in (1, 2, 3, -3):
        for sizes in ([2, 2], [1, 3], [4]):
            outputs = " ".join(f"a{i}" for i in range(len(sizes)))
            rest = [n("Concat", " ".join(reversed(outputs.split())), axis=axis)]
            row("Split", SQUARE, n("Split", "x", outputs, axis=axis, split=sizes), *rest, opset=11)
            row("Split", SQUARE, n("Split", "x s", outputs, axis=axis), *rest, opset=13, s=ints(*sizes))
    row("Split", SQUARE, n("Split", "x", "y z", axis=1), outputs=("y", "z"))
    row("Split", SQUARE, n("Split", "x", "y z", axis=1), outputs=("z",))
    row("Split", (1, 5, 4, 4), n("Split", "x", "y z", axis=1, num_outputs=2), outputs=("y", "z"), opset=18)
    for axis in (1, 2, 3, -3):
        row("Concat", SQUARE, n("Relu", "x", "a"), n("Concat", "x a", axis=axis))
        for start, end, step in ((0, 2, 1), (1, 4, 1), (-3, -1, 1), (0, 9, 1), (3, 0, -1), (0, 4, 2), (1, 4, 2)):
            one("Slice", SQUARE, 13, s=ints(start), e=ints(end), a=ints(axis), t=ints(step))
            if step == 1:
                one("Slice", SQUARE, 9, starts=[start], ends=[end], axes=[axis])
    one("Slice", SQUARE, 13, s=ints(0, 1, 1), e=ints(1, 3, 3))
    one("Slice", SQUARE, 13, s=ints(1, 1), e=ints(3, 3), a=ints(2, 3))


def pads() -> None:
    for mode in ("constant", "reflect", "edge"):
        for sides in ((0, 0, 1, 2, 0, 0, 2, 1), (0, 1, 0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0, 0, 0),
                      (0, 0, -1, 0, 0, 0, 0, -1), (0, 0, 0, 0, 0, 0, 0, 0)):  # fmt: skip
            one("Pad", SQUARE, 10, mode=mode, pads=list(sides), value=2.0)
            one("Pad", SQUARE, 13, p=ints(*sides), v=f(2), mode=mode)
    one("Pad", SQUARE, 18, p=ints(1, 2, 3, 0), v=f(0.5), a=ints(2, 3))
    one("Pad", SQUARE, 18, p=ints(1, 2), v=f(0.5), a=ints(-1))
    one("Pad", SQUARE, 19, p=ints(0, 0, 1, 1, 0, 0, 1, 1), mode="wrap")
    for sides in ((0, 0, 1, 1, 0, 0, 1, 1), (0, 0, 0, 1, 0, 0, 1, 0), (0, 1, 1, 1, 0, 0, 0, 0),
                  (0, 0, -1, 0, 0, 0, 0, 1), (0, 0, 2, 2, 0, 0, 2, 2)):  # fmt: skip
        for value in (-np.inf, np.finfo(np.float32).min, 0.0):
            for fields in ({}, {"strides": [2, 2]}, {"pads": [0, 1, 1, 0]}, {"strides": [2, 2], "ceil_mode": 1},
                           {"auto_pad": "SAME_UPPER"}, {"auto_pad": "VALID"}, {"dilations": [2, 2]}):  # fmt: skip
                nodes = n("Pad", "x p v", "q"), n("MaxPool", "q", kernel_shape=[2, 2], **fields)
                row("PaddedMaxPool", SQUARE, *nodes, p=ints(*sides), v=f(value))
    window = {"kernel_shape": [2, 2]}
    for after in (n("MaxPool", "q", "b", **window), n("AveragePool", "q", "b", **window)):
        nodes = n("Pad", "x p v", "q"), n("MaxPool", "q", "a", **window), after, n("Add", "a b")
        row("PaddedMaxPool", SQUARE, *nodes, p=ints(0, 0, 1, 1, 0, 0, 1, 1), v=f(-np.inf))
    scales = np.array([1, 1, 2, 3], np.float32)
    for mode in ("nearest", "linear"):
        one("Upsample", SQUARE, 9, scales=scales, mode=mode)
        one("Upsample", SQUARE, 7, scales=[1.0, 1.0, 2.0, 3.0], mode=mode)
        row("Resize", SQUARE, n("Resize", "x s", mode=mode), opset=10, s=scales)
        row("Resize", SQUARE, n("Resize", "x s", mode=mode), opset=10, s=1 / np.array([1, 1, 2, 4], np.float32))
        for centres in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            for rounding in ("floor", "ceil", "round_prefer_floor"):
                options = {"coordinate_transformation_mode": centres, "nearest_mode": rounding}
                one("Resize", SQUARE, 13, r=None, s=scales, mode=mode, **options)
    one("Resize", SQUARE, 13, r=None, s=np.array([1, 2, 1, 1], np.float32))


def quantised() -> None:
    small = _RNG.integers(-99, 99, (4, 4, 3, 3)).astype(np.int8)
    factors = np.array([0.01, 0.02, 0.01, 0.03], np.float32)
    for fields, scale in (({"axis": 0}, factors), ({"axis": 1}, factors), ({}, f(0.02))):
        for zero in (None, np.ones(scale.shape, np.int8)):
            inputs = {"q": small, "s": scale, **({} if zero is None else {"z": zero})}
            nodes = n("DequantizeLinear", " ".join(inputs), "w", **fields), n("Conv", "x w")
            row("DequantizeLinear", IMAGE, *nodes, **inputs)
    both = n("QuantizeLinear", "x s z", "q"), n("DequantizeLinear", "q s z")
    row("DequantizeLinear", IMAGE, *both, s=f(0.05), z=np.array(0, np.int8))


def patterns() -> None:
    half, root, unit = f(0.5), f(2**0.5), f(1)
    erf = [n("Div", "x s", "a"), n("Erf", "a", "b"), n("Add", "b o", "c")]
    for factor in (half, unit, w(4, 1, 1)):
        row("GeluByErf", SQUARE, *erf, n("Mul", "x c", "d"), n("Mul", "d h"), s=root, o=unit, h=factor)
        row("GeluByErf", SQUARE, n("Mul", "x h", "g"), *erf, n("Mul", "g c"), s=root, o=unit, h=factor)
        row("GeluByErf", SQUARE, *erf, n("Mul", "h c", "d"), n("Mul", "x d"), s=root, o=unit, h=factor)
    for divisor in (f(1.4142), f(1.5), f(-(2**0.5))):
        row("GeluByErf", SQUARE, *erf, n("Mul", "x c", "d"), n("Mul", "d h"), s=divisor, o=unit, h=half)
    row("GeluByErf", SQUARE, n("Mul", "x h", "g"), *erf, n("Mul", "g c", "d"), n("Mul", "d k"), s=root, o=unit, h=half,
        k=w(1, 4, 1, 1))  # fmt: skip
    row("GeluByErf", SQUARE, *erf, n("Mul", "x c", "d"), n("Mul", "d h"), s=root, o=unit, h=half, outputs=("y", "b"))
    for cube in (0.044715, 0.05):
        row("GeluByTanh", SQUARE, n("Pow", "x p", "a"), n("Mul", "a c", "b"), n("Add", "x b", "d"),
            n("Mul", "d r", "e"),
            n("Tanh", "e", "f"), n("Add", "f o", "g"), n("Mul", "x g", "h"), n("Mul", "h k"), p=f(3), c=f(cube),
            r=f((2 / np.pi) ** 0.5), o=unit, k=half)  # fmt: skip
    for six in (6, 5):
        row("HardSwishByClip", SQUARE, n("Add", "x t", "a"), n("Clip", "a l h", "b"), n("Mul", "x b", "c"),
            n("Div", "c s"), t=f(3), l=f(0), h=f(six), s=f(6))  # fmt: skip
        row("HardSwishByClip", SQUARE, n("Add", "x t", "a"), n("Clip", "a l h", "b"), n("Div", "b s", "c"),
            n("Mul", "x c"), t=f(3), l=f(0), h=f(six), s=f(6))  # fmt: skip
    for alpha in (1 / 6, 0.2):
        row("HardSwishByGate", SQUARE, n("HardSigmoid", "x", "a", alpha=alpha, beta=0.5), n("Mul", "x a"))
    row("Silu", SQUARE, n("Sigmoid", "x", "a"), n("Mul", "a x"))
    row("Silu", SQUARE, n("Sigmoid", "x", "a"), n("Mul", "a x"), outputs=("y", "a"))
    row("Silu", SQUARE, n("Mul", "x k", "b"), n("Sigmoid", "b", "a"), n("Mul", "a x"), k=f(1.702))
    row("Mish", SQUARE, n("Softplus", "x", "a"), n("Tanh", "a", "b"), n("Mul", "x b"))
    row("Dropout", SQUARE, n("Dropout", "x", "a"), n("Relu", "a"), opset=7)
    row("Dropout", SQUARE, n("Dropout", "x r t", "a"), n("Relu", "a"), r=f(0.5), t=np.array(False), opset=13)
    row("Dropout", SQUARE, n("Dropout", "x r t", "a"), n("Relu", "a"), r=f(0.5), t=np.array(True), opset=13)
    row("Outputs", SQUARE, n("Relu", "x", "a"), n("Sigmoid", "a"), outputs=("a", "y"))
    row("Outputs", SQUARE, n("Relu", "x"), outputs=("y", "k"), k=w(2))
    row("Outputs", SQUARE, n("Relu", "x"), outputs=("y", "x"))
    for value in ({"value_float": 2.0}, {"value_floats": [2.0]}, {"value": numpy_helper.from_array(f(2))}):
        row("Constant", SQUARE, n("Constant", "", "k", **value), n("Mul", "x k"))
    row("Constant", SQUARE, n("ConstantOfShape", "s", "k", value=numpy_helper.from_array(np.full(1, 3, np.float32))),
        n("Mul", "x k"), s=ints(1, 4, 1, 1))  # fmt: skip
    row(
        "Expand", SQUARE, n("GlobalAveragePool", "x", "a"), n("Expand", "a s", "b"), n("Mul", "x b"), s=ints(1, 4, 4, 4)
    )
    row("Expand", SQUARE, n("GlobalAveragePool", "x", "a"), n("Expand", "a s"), s=ints(1, 4, 4, 4))
    nothing = n("GlobalAveragePool", "x", "a"), n("Expand", "a s", "b"), n("Mul", "x b")
    row("Expand", SQUARE, *nothing, s=ints(0, 4, 4, 4))
    for size, perm in (((1, 4, 6, 3), [0, 3, 1, 2]), ((1, 4, 3), [0, 2, 1])):
        row("ChannelsLastEntry", size, n("Transpose", "x", "a", perm=perm), n("Relu", "a"))


for rows in (activations, softmaxes, constants, convolutions, norms, fully_connected, reductions, moves, parts, pads):
    rows()
quantised()
patterns()

ACCEPTED = {
    "Abs": 2,
    "Add": 17,
    "AveragePool": 48,
    "BatchNormalization": 6,
    "Celu": 3,
    "ChannelsLastEntry": 2,
    "Clip": 20,
    "Concat": 2,
    "Constant": 4,
    "Conv": 31,
    "ConvTranspose": 13,
    "ConvTurned": 0,
    "DepthToSpace": 2,
    "DequantizeLinear": 6,
    "Div": 15,
    "Dropout": 2,
    "Elu": 4,
    "Erf": 0,
    "Exp": 0,
    "Expand": 1,
    "Flatten": 2,
    "Gate": 8,
    "Gather": 1,
    "Gelu": 2,
    "GeluByErf": 4,
    "GeluByTanh": 1,
    "Gemm": 22,
    "GlobalAveragePool": 1,
    "GlobalMaxPool": 1,
    "GroupNormalization": 4,
    "HardSigmoid": 6,
    "HardSwish": 1,
    "HardSwishByClip": 4,
    "HardSwishByGate": 2,
    "Identity": 0,
    "InstanceNormalization": 2,
    "LRN": 2,
    "LayerNormalization": 3,
    "LeakyRelu": 4,
    "LogSoftmax": 12,
    "MatMul": 4,
    "Max": 2,
    "MaxPool": 27,
    "Mean": 3,
    "Min": 2,
    "Mish": 2,
    "Mul": 17,
    "Neg": 2,
    "Outputs": 2,
    "PRelu": 22,
    "Pad": 13,
    "PaddedMaxPool": 54,
    "ReduceL2": 14,
    "ReduceMax": 14,
    "ReduceMean": 14,
    "ReduceSum": 8,
    "Relu": 2,
    "Reshape": 6,
    "Resize": 12,
    "Selu": 2,
    "Shuffle": 2,
    "Sigmoid": 2,
    "Silu": 3,
    "Slice": 30,
    "Softmax": 21,
    "Softplus": 2,
    "Softsign": 2,
    "SpaceToDepth": 1,
    "Split": 11,
    "Squeeze": 4,
    "Sub": 17,
    "Sum": 2,
    "Tanh": 2,
    "Transpose": 3,
    "Upsample": 2,
}
"""How many cases of each title are equal."""
