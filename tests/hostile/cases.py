"""Files that a stranger may have sent, and what `archdsl` says of them: weights, models, images, metadata.

Each case makes its files in an empty folder and gives the command line that meets them there.
`tests/hostile/test_files.py` runs all of them, in its own process by default, and with `--all` each in a process whose
time and memory are measured.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import archdsl
from tests.support.places import CAT as PHOTO

CAT = str(PHOTO)
SPEC = "name: small\ninput: 3x8x8\nnet: [flatten, fc 512, fc 2]\n"


class Case(NamedTuple):
    """`make` writes the files into a folder and says what to run there; `word` is in the output."""

    make: Callable[[Path], Sequence[str]]
    status: int
    word: str


# --- models ----------------------------------------------------------------------------------------------------


def model(nodes: Iterable[Any], constants: Iterable[Any] = (), size: Sequence[int] = (1, 3, 8, 8)) -> bytes:
    """An ONNX file from `x` to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(constants),
    )
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return made


def constant(name: str, values: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values), name)


def liar(dims: Sequence[int], kind: int = TensorProto.FLOAT, data: bytes = bytes(8)) -> Any:
    """A tensor `w` that says it is larger than it is."""
    tensor = TensorProto(name="w", dims=dims, data_type=kind, raw_data=data)
    return tensor


def node(kind: str, inputs: Sequence[str] = ("x",), outputs: Sequence[str] = ("y",), **fields: Any) -> Any:
    return helper.make_node(kind, list(inputs), list(outputs), **fields)


def on(command: Sequence[str], data: Callable[[], bytes], folder: Path) -> Sequence[str]:
    (folder / "m.onnx").write_bytes(data())
    return [word.replace("MODEL", "m.onnx") for word in command]


IMPORT, PREDICT, BENCH = ("import", "MODEL"), ("predict", "MODEL", CAT), ("bench", "MODEL")
RELU = node("Relu")
SIGNED = node("Add", ["x", "w"])


def endless() -> bytes:
    value = partial(helper.make_tensor_value_info, shape=[])
    body = helper.make_graph(
        [node("Identity", ["c"], ["again"]), node("Identity", ["v"], ["out"])],
        "b",
        [
            value("i", TensorProto.INT64),
            value("c", TensorProto.BOOL),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 3, 8, 8]),
        ],
        [value("again", TensorProto.BOOL), helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 8, 8])],
    )
    return model(
        [node("Loop", ["n", "go", "x"], body=body)], [constant("n", np.int64(1 << 62)), constant("go", np.array(True))]
    )


def nested(depth: int) -> bytes:
    inner = helper.make_graph(
        [node("Identity", ["x"], ["o"])], "i", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)]
    )
    for n in range(depth):
        inner = helper.make_graph(
            [node("If", ["b"], [f"o{n}"], then_branch=inner, else_branch=inner)],
            f"g{n}",
            [],
            [helper.make_tensor_value_info(f"o{n}", TensorProto.FLOAT, None)],
        )
    return model([node("If", ["b"], then_branch=inner, else_branch=inner)], [constant("b", np.array(True))])


def sums(count: int) -> bytes:
    """Small constants, each sum of two of which is large."""
    pair = [constant("a", np.zeros((2048, 1), np.int64)), constant("b", np.zeros((1, 2048), np.int64))]
    return model([*(node("Add", ["a", "b"], [f"c{n}"]) for n in range(count)), *_used(count)], pair)


def casts(count: int) -> bytes:
    return model(
        [*(node("Cast", ["w"], [f"c{n}"], to=TensorProto.DOUBLE) for n in range(count)), *_used(count)],
        [constant("w", np.zeros(1_000_000, np.float32))],
    )


def _used(count: int) -> list[Any]:
    """The output is the input plus the largest value of all constants: a constant that no output needs is not read."""
    return [
        node("Max", [f"c{n}" for n in range(count)], ["m"]),
        node("ReduceMax", ["m"], ["s"], keepdims=0),
        node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        node("Add", ["x", "f"]),
    ]


def crossing(count: int) -> bytes:
    """Modules each of which reads the one behind it: their order is found, if slowly, by looking again and again."""
    first = [node("Relu", ["x"], [f"a{n}"], name=f"/m{n}/a/Relu") for n in range(count)]
    last = [
        node("Add", [f"a{n}", f"b{n + 1}" if n < count - 1 else "x"], [f"b{n}" if n else "y"], name=f"/m{n}/b/Add")
        for n in reversed(range(count))
    ]
    return model([*first, *last])


MODELS: Mapping[str, Case] = {
    "I1 functions": Case(
        partial(on, IMPORT, lambda: _functions()), 1, "it defines functions, which archdsl does not run"
    ),
    "I1 functions, run": Case(
        partial(on, PREDICT, lambda: _functions()), 1, "it defines functions, which archdsl does not run"
    ),
    "I3 150 Ifs in one another": Case(partial(on, IMPORT, partial(nested, 12)), 1, "E0841"),
    "I3 150 Ifs in one another, run": Case(
        partial(on, PREDICT, partial(nested, 12)), 1, "archdsl runs no control flow"
    ),
    "I3 a loop without end": Case(partial(on, PREDICT, endless), 1, "archdsl runs no control flow"),
    "I3 a loop without end, timed": Case(partial(on, BENCH, endless), 1, "archdsl runs no control flow"),
    "I3 a loop without end, imported": Case(partial(on, IMPORT, endless), 1, "E0841"),
    "I5 more numbers than bytes": Case(
        partial(on, IMPORT, lambda: model([SIGNED], [liar([10**5, 10**5])])), 1, "E0805"
    ),
    "I5 more numbers than bytes, run": Case(
        partial(on, PREDICT, lambda: model([SIGNED], [liar([10**5, 10**5])])), 1, "E0805"
    ),
    "I5 sizes below 0": Case(partial(on, IMPORT, lambda: model([SIGNED], [liar([-1, 2])])), 1, "E0805"),
    "I5 sizes past 2^63": Case(partial(on, IMPORT, lambda: model([SIGNED], [liar([1 << 62, 1 << 62])])), 1, "E0805"),
    "I5 no kind of number": Case(partial(on, IMPORT, lambda: model([SIGNED], [liar([2], 99)])), 1, "E0805"),
    "I5 text for numbers": Case(
        partial(
            on, IMPORT, lambda: model([SIGNED], [TensorProto(name="w", dims=[1], data_type=8, string_data=[b"\xff"])])
        ),
        1,
        "E0805",
    ),
    "I5 an image of 10^12 pixels": Case(
        partial(on, PREDICT, lambda: model([RELU], size=(1, 3, 10**6, 10**6))), 1, "E0804"
    ),
    "I5 an input of 10^12 values": Case(
        partial(on, BENCH, lambda: model([RELU], size=(1, 3, 10**6, 10**6))), 1, "E080"
    ),
    "I5 an input of a thousand axes": Case(partial(on, IMPORT, lambda: model([RELU], size=[1] * 1000)), 2, "E0846"),
    "I6 no output": Case(partial(on, IMPORT, lambda: model([node("Relu", ["x"], []), RELU])), 1, "has no output"),
    "I6 no input": Case(partial(on, IMPORT, lambda: model([node("Identity", [], ["a"]), RELU])), 1, "has no input"),
    "I6 a constant for nobody": Case(
        partial(on, IMPORT, lambda: model([node("Constant", [], [], value=constant("c", 1.0)), RELU])),
        1,
        "has no output",
    ),
    "I6 made twice": Case(partial(on, IMPORT, lambda: model([RELU, RELU])), 1, "written twice"),
    "I6 its own input": Case(partial(on, IMPORT, lambda: model([node("Relu", ["x"], ["x"])])), 1, "written twice"),
    "I6 a circle": Case(
        partial(
            on, IMPORT, lambda: model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"])])
        ),
        1,
        "E0805",
    ),
    "I6 a circle, run": Case(partial(on, PREDICT, lambda: model([node("Add", ["x", "y"])])), 1, "E0805"),
    "I6 fields that no layer has": Case(
        partial(on, IMPORT, lambda: model([node("MaxPool", kernel_shape=[-3, 1 << 62], strides=[0, 0])])),
        1,
        "E0842",
    ),
    "I6 a text for a number": Case(
        partial(on, IMPORT, lambda: model([node("Shape", ["x"], ["s"], start="a"), node("Reshape", ["x", "s"])])),
        1,
        "E0841",
    ),
    "I6 no number": Case(partial(on, IMPORT, lambda: model([node("LeakyRelu", alpha=float("nan"))])), 1, "E0842"),
    "I6 no inputs at all": Case(partial(on, IMPORT, lambda: model([node("Conv", [])])), 1, "E0841"),
    "I7 what archdsl has no op for, and escapes": Case(
        partial(on, IMPORT, lambda: model([node("N\x1b[31m", name="a\x1b]0;x\x07\u202e")])),
        1,
        "E0842",
    ),
    "I8 sums that grow": Case(partial(on, IMPORT, partial(sums, 300)), 1, "more constants than memory can hold"),
    "I8 casts that grow": Case(partial(on, IMPORT, partial(casts, 300)), 1, "more constants than memory can hold"),
    "I8 modules in the other order": Case(partial(on, IMPORT, partial(crossing, 300)), 0, "net:"),
}


def _functions() -> bytes:
    made = onnx.ModelProto.FromString(model([RELU]))
    made.functions.append(
        helper.make_function("mine", "f", ["x"], ["y"], [node("f", domain="mine")], [helper.make_opsetid("", 20)])
    )
    data: bytes = made.SerializeToString()
    return data


# --- what a file says of itself, and where its numbers lie ---------------------------------------------------------


def ours(folder: Path, **metadata: str) -> None:
    """`m.onnx`, made by archdsl of SPEC, whose metadata then says something else."""
    archdsl.loads(SPEC).to_onnx(folder / "m.onnx", force=True, passes=())
    made = onnx.load(folder / "m.onnx")
    facts = {item.key: item.value for item in made.metadata_props} | metadata
    del made.metadata_props[:]
    for key, value in facts.items():
        made.metadata_props.add(key=key, value=value)
    (folder / "m.onnx").write_bytes(made.SerializeToString())


def telling(command: Sequence[str], metadata: Mapping[str, str], folder: Path) -> Sequence[str]:
    ours(folder, **metadata)
    (folder / "secret.yaml").write_text("password: hunter2\ninput: 3x8x8\nnet: [gap]\n")
    (folder / "labels.txt").write_text("hunter2\nhunter3\n")
    os.mkfifo(folder / "pipe.yaml")
    return [word.replace("MODEL", "m.onnx") for word in command]


def outside(command: Sequence[str], location: str, metadata: Mapping[str, str], folder: Path) -> Sequence[str]:
    """A model whose numbers, it says, lie somewhere else."""
    inside = folder / "inside"
    inside.mkdir()
    (folder / "secret").write_bytes(b"S" * 500_000)
    (inside / "link").symlink_to(folder / "secret")
    os.mkfifo(inside / "pipe")
    archdsl.loads(SPEC).to_onnx(inside / "m.onnx", external_data=True, passes=())
    made = onnx.load(inside / "m.onnx", load_external_data=False)
    for tensor in made.graph.initializer:
        facts = {item.key: item.value for item in tensor.external_data}
        if facts:
            del tensor.external_data[:]
            for key, value in {**facts, "location": location or facts["location"], **metadata}.items():
                tensor.external_data.add(key=key, value=value)
    (inside / "m.onnx").write_bytes(made.SerializeToString())
    return [word.replace("MODEL", "inside/m.onnx") for word in command]


class Program:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


def pickled(ending: str, folder: Path) -> Sequence[str]:
    (folder / f"m.{ending}").write_bytes(pickle.dumps(Program()))
    return ["import", f"m.{ending}"]


BOMB = "a0: &a0 [1,1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1},*a{n - 1}]\n" for n in range(1, 40))
CERTIFICATE = '{"version":1,"seed":%s,"batch":%s,"input":%s}'
VERIFY = ("verify", "MODEL")
CARRIED: Mapping[str, Case] = {
    **{
        f"I9 a pickle that runs a program, .{ending}": Case(partial(pickled, ending), 1, "E0805")
        for ending in ("onnx", "pt", "pt2")
    },
    **{
        f"I9 a spec that extends {name}": Case(partial(telling, IMPORT, {"spec": f'extends: "{name}"\n'}), 1, "E0207")
        for name in ("./secret.yaml", "secret.yaml", "pipe.yaml", "/etc/passwd", "-")
    },
    "I9 a spec that extends a file, verified": Case(
        partial(telling, VERIFY, {"spec": "extends: ./secret.yaml\n"}), 1, "E0207"
    ),
    "I9 a spec with labels in a file": Case(
        partial(telling, IMPORT, {"spec": f"{SPEC}labels: labels.txt\n"}), 1, "E0207"
    ),
    "I9 a spec that is a bomb": Case(partial(telling, IMPORT, {"spec": BOMB}), 1, "E0105"),
    "I9 a spec that repeats": Case(
        partial(telling, IMPORT, {"spec": "input: 3x8x8\nnet: [1000000000 * relu]\n"}), 1, "E0314"
    ),
    "I9 a spec with escapes": Case(partial(telling, IMPORT, {"spec": SPEC.replace("small", "a\x1b[31m")}), 1, "E0108"),
    "I9 a spec of another network": Case(partial(telling, IMPORT, {"spec": "extends: lenet5\n"}), 1, "E0805"),
    "I9 a bomb, but its nodes are asked for": Case(
        partial(telling, ("import", "--flat", "MODEL"), {"spec": BOMB}), 0, "net:"
    ),
    "I9 a name that is a path": Case(partial(telling, PREDICT, {"name": "/../../../tmp/a\x1b[31m"}), 0, "probability"),
    "I9 labels with escapes": Case(
        partial(telling, PREDICT, {"labels": '["\\u001b[31ma", "b\\u202e"]'}), 0, "\\x1b[31ma"
    ),
    "I9 labels with escapes, as JSON": Case(
        partial(telling, (*PREDICT, "--format", "json"), {"labels": '["\\u009b31ma", "b\\u202e"]'}), 0, "\\u009b31ma"
    ),
    "I9 weights with escapes": Case(partial(telling, PREDICT, {"weights": "random \x1b[31m\u202e"}), 0, "\\x1b[31m"),
    "I9 a crop of 65,536 x 65,536": Case(
        partial(telling, PREDICT, {"preprocess": '{"crop": [65536, 65536]}'}), 1, "E0804"
    ),
    "I9 a resize to 65,536": Case(partial(telling, PREDICT, {"preprocess": '{"resize": 65536}'}), 1, "E0804"),
    "I9 a scale of 10^400": Case(partial(telling, PREDICT, {"preprocess": '{"scale": 1%s}' % ("0" * 400)}), 1, "E0805"),
    "I9 a scale that is no number": Case(
        partial(telling, PREDICT, {"preprocess": '{"scale": NaN, "std": [Infinity]}'}), 1, "E0805"
    ),
    "I9 a recipe that is deep": Case(partial(telling, PREDICT, {"preprocess": "[" * 100_000}), 1, "E0805"),
    "I9 a certificate with a batch of 10^9": Case(
        partial(telling, VERIFY, {"verified": CERTIFICATE % (1, 10**9, "null")}), 0, "certificate written"
    ),
    "I9 a certificate with a seed that is none": Case(
        partial(telling, VERIFY, {"verified": CERTIFICATE % ('"x"', 1, "null")}), 0, "certificate written"
    ),
    "I9 a certificate that is deep": Case(
        partial(telling, VERIFY, {"verified": "[" * 100_000}), 0, "certificate written"
    ),
    "I9 a certificate of another file": Case(
        partial(telling, VERIFY, {"verified": CERTIFICATE % (1, 1, '"3x8x8"')}), 1, "E0822"
    ),
    "I9 a map of folds that is none": Case(
        partial(telling, VERIFY, {"weights": "given", "folded": "[" * 9999}), 1, "`folded` is malformed"
    ),
    "I9 a seed of 5,000 digits": Case(
        partial(telling, VERIFY, {"weights": f"random, seed {'9' * 5000}"}), 0, "every node is within"
    ),
    **{
        f"F11 numbers in {location[:9] or 'place'}, {metadata or command[0]}": Case(
            partial(outside, command, location, metadata), 1, "E0805"
        )
        for command in (IMPORT, PREDICT, VERIFY)
        for location, metadata in (
            ("../secret", {}),
            ("/dev/zero", {}),
            ("link", {}),
            ("pipe", {}),
            ("", {"offset": str(1 << 62)}),
            ("", {"length": str(1 << 62)}),
            ("", {"length": "1"}),
            ("x" * 5000, {}),
        )
    },
}


# --- images ------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, colour: int = 0, depth: int = 8, extra: bytes = b"", whole: bool = False) -> bytes:
    """A PNG in black; `whole`: with all its pixels."""
    row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[colour] * depth // 8)
    deflate = zlib.compressobj(9)
    body = b"".join(deflate.compress(row) for _ in range(height)) if whole else deflate.compress(bytes(1000))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", body + deflate.flush())
        + chunk(b"IEND", b"")
    )


def tiff(*entries: tuple[int, int, int, int], then: int = 0) -> bytes:
    """A TIFF of one grey 8 x 8 image with entries of one's own; `then` is where its next image would lie."""
    plain = {
        256: (4, 1, 8),
        257: (4, 1, 8),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 300),
        277: (3, 1, 1),
        278: (4, 1, 8),
        279: (4, 1, 64),
    }
    found = {**plain, **{tag: (kind, count, value) for tag, kind, count, value in entries}}
    body = b"".join(struct.pack("<HHII", tag, *found[tag]) for tag in sorted(found))
    return b"II*\0" + struct.pack("<IH", 8, len(found)) + body + struct.pack("<I", then) + bytes(500)


def gif(width: int, height: int, inner: int) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HH", width, height)
        + b"\0\0\0,"
        + struct.pack("<HHHH", 0, 0, inner, inner)
        + b"\0\2\2\x4c\1\0;"
    )


def seen(data: Callable[[], bytes], folder: Path, free: bool = False) -> Sequence[str]:
    (folder / "i.png").write_bytes(data())
    net = "net: [3x3 conv 3]" if free else "preprocess: imagenet\nnet: [gap, fc 2]"
    (folder / "s.yaml").write_text(f"name: s\ninput: 3x8x8\n{net}\n")
    return ["predict", "s.yaml", "i.png"]


IMAGES: Mapping[str, Case] = {
    "I13 empty": Case(partial(seen, lambda: b""), 1, "it is empty"),
    "I13 a script": Case(
        partial(seen, lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), 1, "it is not one of"
    ),
    "I14 60,000 x 60,000": Case(partial(seen, lambda: png(60_000, 60_000)), 1, "E0804"),
    "I14 13,000 x 13,000": Case(partial(seen, lambda: png(13_000, 13_000)), 1, "E0804"),
    "I14 64 million pixels, with transparency": Case(
        partial(seen, lambda: png(8000, 8000, 6)), 1, "the maximum for its pixel format is 32 million"
    ),
    "I14 64 million pixels, of 16 bits": Case(
        partial(seen, lambda: png(8000, 8000, 0, 16)), 1, "the maximum for its pixel format is 25 million"
    ),
    "I14 25 million pixels for a network that takes any": Case(
        partial(seen, lambda: png(5000, 5000, whole=True), free=True), 1, "the maximum is 16 million"
    ),
    "I14 a text of 200 MB": Case(
        partial(seen, lambda: png(8, 8, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9)))),
        1,
        "E0804",
    ),
    "I14 a colour profile of 200 MB": Case(
        partial(seen, lambda: png(8, 8, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000_000), 9)))),
        1,
        "E0804",
    ),
    "I14 one line that is resized": Case(
        partial(seen, lambda: png(20_000_000, 1, whole=True)), 1, "would be resized to"
    ),
    "I14 a TIFF of one large tile": Case(
        partial(
            seen,
            lambda: tiff((259, 3, 1, 5), (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 300), (325, 4, 1, 99)),
        ),
        1,
        "E0804",
    ),
    "I14 a TIFF of 2^31 strips": Case(
        partial(seen, lambda: tiff((273, 4, 2**31 - 1, 300), (279, 4, 2**31 - 1, 300))), 1, "E0804"
    ),
    "I14 a TIFF of 65,535 channels": Case(
        partial(seen, lambda: tiff((277, 3, 1, 65_535), (258, 3, 65_535, 8))), 1, "E0804"
    ),
    "I14 a TIFF in a circle": Case(partial(seen, lambda: tiff(then=8)), 0, "probability"),
    "I14 a large GIF": Case(partial(seen, lambda: gif(65_535, 65_535, 8)), 1, "E0804"),
    "I14 a GIF with a large frame": Case(partial(seen, lambda: gif(8, 8, 65_535)), 1, "E0804"),
    "I14 a PPM of 10^16 pixels": Case(partial(seen, lambda: b"P6\n99999999 99999999\n255\n"), 1, "E0804"),
    "I14 a comment of 1 MB": Case(partial(seen, lambda: b"P5 " + b"#" * 1_000_000), 1, "E0804"),
    "I14 a BMP upside down": Case(
        partial(
            seen,
            lambda: (
                b"BM"
                + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, -(2**31), 2**31 - 1, 1, 24, 0, 0, 0, 0, 0, 0)
            ),
        ),
        1,
        "E0804",
    ),
    "I14 a JPEG of 65,535 x 65,535": Case(
        partial(seen, lambda: b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\3\1\x11\0\2\x11\1\3\x11\1" + bytes(50)),
        1,
        "E0804",
    ),
}


# --- weights -------------------------------------------------------------------------------------------------------


def packed(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def weighed(data: Callable[[], bytes], folder: Path, ending: str = "safetensors") -> Sequence[str]:
    (folder / "s.yaml").write_text("name: s\ninput: 3x8x8\nnet: [gap, flatten, fc 2]\n")
    (folder / f"w.{ending}").write_bytes(data())
    return ["compile", "s.yaml", "--weights", f"w.{ending}", "-o", "o.onnx"]


FITS = {
    "2.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "2.bias": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
}
NUMBERS = struct.pack("<8f", *range(8))


def torch_file(value: Callable[[Any], Any]) -> bytes:
    import io
    import warnings

    import torch

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value(torch), file)
    return file.getvalue()


WEIGHTS: Mapping[str, Case] = {
    "W8 escapes in what it says of itself": Case(
        partial(weighed, lambda: packed({"__metadata__": {"weights": "random \x1b[31m\u202e"}, **FITS}, NUMBERS)),
        0,
        "\\x1b[31m",
    ),
    "W8 20,000 characters in what it says of itself": Case(
        partial(weighed, lambda: packed({"__metadata__": {"weights": "random" + "x" * 20_000}, **FITS}, NUMBERS)),
        0,
        "NOT trained",
    ),
    "W8 escapes in names": Case(
        partial(weighed, lambda: packed({"\x1b[31mx\u202e": FITS["2.weight"], "2.bias": FITS["2.bias"]}, NUMBERS)),
        1,
        "E0603",
    ),
    "W8 names of 100,000 characters": Case(
        partial(weighed, lambda: packed({"x" * 100_000: FITS["2.weight"], "2.bias": FITS["2.bias"]}, NUMBERS)),
        1,
        "E0603",
    ),
    "W7 a header of 16 MB": Case(
        partial(weighed, lambda: packed(b'{"a":[' + b"{}," * (5 << 20) + b"0]}")), 1, "the maximum is"
    ),
    "W7 a header of 4 MB, of nothing": Case(
        partial(weighed, lambda: packed(b'{"a":[' + b"{}," * 1_390_000 + b"0]}")), 1, "E0601"
    ),
    "W7 30,000 tensors of no size": Case(
        partial(
            weighed,
            lambda: packed({f"k{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(30_000)}),
        ),
        1,
        "E0603",
    ),
    "W7 60,000 mappings in one another": Case(
        partial(weighed, lambda: packed(b'{"a":' * 60_000 + b"1" + b"}" * 60_000)), 1, "E0601"
    ),
    "W7 a size of 6,000 digits": Case(
        partial(
            weighed,
            lambda: packed(b'{"a":{"dtype":"F32","shape":[' + b"9" * 6000 + b'],"data_offsets":[0,8]}}', bytes(8)),
        ),
        1,
        "E0601",
    ),
    "W5 no file of torch's": Case(partial(weighed, lambda: b"hello", ending="pth"), 1, "E0601"),
    "W5 an integer of a gigabyte": Case(
        partial(weighed, lambda: b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + bytes(99) + b".", ending="pth"),
        1,
        "E0601",
    ),
    "W3 a tensor without its numbers": Case(
        partial(weighed, lambda: torch_file(lambda t: {"w": t.ones(1).expand(10**6, 10**6)}), ending="pth"), 1, "E0602"
    ),
    "W9 tensors in a tensor": Case(
        partial(
            weighed, lambda: torch_file(lambda t: {"w": t.nested.nested_tensor([t.ones(2), t.ones(3)])}), ending="pth"
        ),
        1,
        "E0601",
    ),
    "W9 complex numbers": Case(
        partial(weighed, lambda: torch_file(lambda t: {"w": t.ones(2, dtype=t.complex64)}), ending="pth"), 1, "E0601"
    ),
    "W9 a mapping in itself": Case(partial(weighed, lambda: torch_file(lambda t: _itself()), ending="pth"), 1, "E0601"),
    "W9 floats of 8 bits": Case(
        partial(
            weighed,
            lambda: torch_file(lambda t: {"2.weight": t.ones(2, 3).to(t.float8_e4m3fn), "2.bias": t.ones(2)}),
            ending="pth",
        ),
        0,
        "wrote",
    ),
}


def _itself() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["state_dict"] = found
    return found


# --- what is no file --------------------------------------------------------------------------------------------------


def piped(args: Sequence[str], folder: Path) -> Sequence[str]:
    (folder / "s.yaml").write_text("name: s\ninput: 3x8x8\nnet: [gap, fc 2]\n")
    for ending in ("onnx", "png", "safetensors", "yaml"):
        os.mkfifo(folder / f"pipe.{ending}")
    (folder / "images").mkdir()
    os.mkfifo(folder / "images" / "pipe.png")
    (folder / "images" / "zero.png").symlink_to("/dev/zero")
    return args


PIPES: Mapping[str, Case] = {
    **{
        f"F8 {' '.join(args[:2])}": Case(partial(piped, args), 1, "not a regular file")
        for args in (
            ["import", "pipe.onnx"],
            ["predict", "pipe.onnx", CAT],
            ["bench", "pipe.onnx"],
            ["verify", "pipe.onnx"],
            ["predict", "s.yaml", "pipe.png"],
            ["import", "/dev/zero"],
            ["predict", "s.yaml", "/dev/zero"],
            ["compile", "s.yaml", "--weights", "pipe.safetensors"],
            ["compile", "s.yaml", "--weights", "/dev/zero"],
        )
    },
    "F8 diff with a pipe": Case(partial(piped, ["diff", "s.yaml", "pipe.yaml"]), 2, "E0114"),
    "F8 calibrate on pipes": Case(
        partial(piped, ["compile", "s.yaml", "--precision", "int8", "--calibrate", "images"]), 2, "E0861"
    ),
    "F8 calibrate on a pipe": Case(
        partial(piped, ["compile", "s.yaml", "--precision", "int8", "--calibrate", "pipe.png"]), 2, "E0861"
    ),
}


def written(spec: str, args: Sequence[str], folder: Path) -> Sequence[str]:
    (folder / "s.yaml").write_text(spec)
    return args


def loud(args: Sequence[str], folder: Path, value: float = 1e38) -> Sequence[str]:
    """Weights of which nothing can be made but infinity."""
    from safetensors.numpy import save_file

    net = archdsl.loads("name: s\ninput: 3x8x8\nnet: [3x3 conv 4, gap, fc 2]\n")
    (folder / "s.yaml").write_text(net.document.source.text)
    save_file({key: np.full_like(array, value) for key, array in net.weights().items()}, folder / "w.safetensors")
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_bytes(png(64, 64, whole=True))
    (folder / "images" / "again").symlink_to(folder / "images")
    return args


LONG = "n" * 5000
HUGE = "name: s\ninput: 3x8x8\nnet: {f: fc 1000000, g: fc 1000000}\n"
WIDE = "name: s\ninput: 3x60000x60000\nnet: [3x3 conv 64, gap, fc 2]\n"
SIZES: Mapping[str, Case] = {
    **{
        f"N13 10^12 numbers, {args[0]} {' '.join(args[2:])}": Case(partial(written, HUGE, args), 2, "E070")
        for args in (
            ["compile", "s.yaml", "-o", "o.onnx"],
            ["compile", "s.yaml", "-o", "-"],
            ["compile", "s.yaml", "--to", "weights", "-o", "o.safetensors"],
            ["compile", "s.yaml", "--precision", "fp16", "-o", "o.onnx"],
            ["verify", "s.yaml"],
            ["bench", "s.yaml"],
            ["predict", "s.yaml", CAT],
        )
    },
    "N13 10^12 numbers, as source": Case(
        partial(written, HUGE, ["compile", "s.yaml", "--to", "torch", "-o", "-"]), 0, "1000000"
    ),
    "N13 10^12 numbers, drawn": Case(
        partial(written, HUGE, ["diagram", "s.yaml", "--style", "article", "-o", "-"]), 0, "</svg>"
    ),
    "N16 weights of 10^38, as fp16": Case(
        partial(loud, ["compile", "s.yaml", "--weights", "w.safetensors", "--precision", "fp16", "-o", "o.onnx"]),
        0,
        "W0717",
    ),
    "N16 weights of 10^38, as int8": Case(
        partial(
            loud,
            [
                "compile",
                "s.yaml",
                "--weights",
                "w.safetensors",
                "--precision",
                "int8",
                "--calibrate",
                "images",
                "-o",
                "o.onnx",
            ],
        ),
        1,
        "E0805",
    ),
    "N16 no numbers, verified": Case(
        partial(loud, ["verify", "s.yaml", "--weights", "w.safetensors"], value=float("nan")), 1, "E0821"
    ),
    **{
        f"F1 a name of 5,000 characters, {' '.join(args)[:30]}": Case(partial(written, SPEC, args), 2, "E0")
        for args in (
            ["check", f"{LONG}.yaml"],
            ["params", f"{LONG}.yaml"],
            ["fmt", f"{LONG}.yaml"],
            ["compare", f"[{LONG}"],
            ["import", f"{LONG}.onnx"],
            ["import", f"{LONG}:b", "--input", "3x8x8"],
            ["predict", f"{LONG}.onnx", CAT],
            ["predict", "s.yaml", f"{LONG}.png"],
            ["verify", f"{LONG}.onnx"],
            ["bench", f"{LONG}.onnx"],
            ["compile", "s.yaml", "--weights", f"{LONG}.pth"],
            ["list", f"[{LONG}", "--family", f"[{LONG}"],
            ["compile", "s.yaml", "--precision", "int8", "--calibrate", LONG],
            ["diagram", "s.yaml", "--focus", LONG],
            ["diff", "s.yaml", f"{LONG}.yaml"],
        )
    },
    "N14 an image of 3.6 * 10^9 pixels, verified": Case(partial(written, WIDE, ["verify", "s.yaml"]), 2, "E0705"),
    "N14 an image of 3.6 * 10^9 pixels, predicted": Case(
        partial(written, WIDE, ["predict", "s.yaml", CAT]), 1, "E0804"
    ),
    "N14 an image of 3.6 * 10^9 pixels, drawn": Case(
        partial(written, WIDE, ["diagram", "s.yaml", "--style", "volumes", "-o", "-"]), 0, "</svg>"
    ),
}

CASES: Mapping[str, Case] = {**MODELS, **CARRIED, **IMAGES, **WEIGHTS, **PIPES, **SIZES}
