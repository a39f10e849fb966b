"""A model repository for NVIDIA's Triton, with the onnxruntime backend; KServe reads the same folder.

The configuration is the text form of `model_config.proto`, which protobuf reads
(docs.nvidia.com/deeplearning/triton-inference-server, "Model Configuration").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from archdsl.network import Network
from archdsl.runtime.embedded import INPUT

TritonDevice: TypeAlias = Literal["auto", "cpu", "gpu"]
KINDS: Mapping[TritonDevice, str] = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "gpu": "KIND_GPU"}
_TYPES = {1: "FP32", 2: "UINT8"}
"""By onnx.TensorProto.DataType: inputs and outputs have no other type."""
_DELAY = 100
"""Microseconds that the server waits for more requests to fill a batch."""
_ENGINES = "/tmp/tensorrt"


@dataclass(frozen=True, slots=True)
class TritonSettings:
    """The settings of a configuration: the largest batch, copies of the model on each device, and TensorRT."""

    max_batch: int = 8
    instances: int = 1
    device: TritonDevice = "auto"
    tensorrt: bool = False


class _Value(NamedTuple):
    """An input or an output; -1 in `dims`, which lack the batch, is a free size."""

    name: str
    type: str
    dims: tuple[int, ...]


def triton_files(
    network: Network, models: Sequence[Path], settings: TritonSettings, precision: str
) -> dict[str, bytes | Path]:
    """Return the files of a model by their names in its folder, the configuration first.

    `models` are the ONNX file and that of its external data.
    """
    import onnx

    graph = onnx.load(models[0], load_external_data=False).graph
    inputs, outputs = ([_value(item) for item in items] for items in (graph.input, graph.output))
    named = network.labels if network.labels is not None else ()
    texts = {
        "config.pbtxt": _config(network, inputs, outputs, settings, precision),
        **({"labels.txt": "".join(f"{' '.join(label.split())}\n" for label in named)} if named else {}),
        "client.py": _client(network, inputs, outputs),
        "README.md": _template("triton.md", NAME=network.name, TENSORRT=_ENGINES),
    }
    written: dict[str, bytes | Path] = {name: text.encode() for name, text in texts.items()}
    return written | {f"1/{path.name}": path for path in models}


def _value(item: object) -> _Value:
    tensor = item.type.tensor_type  # type: ignore[attr-defined]
    dims = tuple(axis.dim_value if axis.HasField("dim_value") else -1 for axis in tensor.shape.dim)
    return _Value(item.name, _TYPES[tensor.elem_type], dims[1:])  # type: ignore[attr-defined]


def _config(
    network: Network, inputs: Sequence[_Value], outputs: Sequence[_Value], settings: TritonSettings, precision: str
) -> str:
    largest = settings.max_batch
    lines = [
        "# written by archdsl bundle: the model configuration that Triton reads",
        f"name: {json.dumps(network.name)}",
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {largest}",
        *(f"input {{ {_fields(value)} }}" for value in inputs),
        *(f"output {{ {_fields(value)}{_label(network, number)} }}" for number, value in enumerate(outputs)),
        f"dynamic_batching {{ max_queue_delay_microseconds: {_DELAY} }}",
        f"instance_group {{ count: {settings.instances} kind: {_kind(settings)} }}",
        "# The server runs these before it reports the model as ready.",
        *(_warmup(network, inputs, size) for size in dict.fromkeys((1, largest))),
    ]
    if settings.tensorrt:
        lines += _tensorrt(network, inputs, largest, precision)
    return "\n".join(lines) + "\n"


def _fields(value: _Value) -> str:
    return f"name: {json.dumps(value.name)} data_type: TYPE_{value.type} dims: {list(value.dims)}"


def _label(network: Network, number: int) -> str:
    return ' label_filename: "labels.txt"' if network.labels is not None and number == 0 else ""


def _kind(settings: TritonSettings) -> str:
    return "KIND_GPU" if settings.tensorrt else KINDS[settings.device]


def _size(network: Network, value: _Value) -> list[int]:
    """The sizes of a typical sample: the network's own for free ones."""
    shapes = network.input if isinstance(network.input, dict) else {value.name: network.input}
    channels, *sizes = shapes[value.name]
    usual = [*sizes, 3] if value.name == INPUT and value.type == "UINT8" else [channels, *sizes]
    return [size if known == -1 else known for known, size in zip(value.dims, usual, strict=True)]


def _warmup(network: Network, inputs: Sequence[_Value], batch: int) -> str:
    samples = " ".join(
        f"inputs {{ key: {json.dumps(value.name)} value {{ data_type: TYPE_{value.type} "
        f"dims: {_size(network, value)} zero_data: true }} }}"
        for value in inputs
    )
    return f'model_warmup {{ name: "batch of {batch}" batch_size: {batch} {samples} }}'


def _tensorrt(network: Network, inputs: Sequence[_Value], largest: int, precision: str) -> list[str]:
    """TensorRT builds an engine for a range of shapes, which takes minutes: the cache keeps it."""

    def shapes(batch: int) -> str:
        return ",".join(f"{value.name}:{'x'.join(map(str, (batch, *_size(network, value))))}" for value in inputs)

    parameters = {
        "precision_mode": "FP16" if precision == "fp16" else "FP32",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": f"{_ENGINES}/{network.name}",
        "trt_timing_cache_enable": "1",
        "trt_profile_min_shapes": shapes(1),
        "trt_profile_opt_shapes": shapes(largest),
        "trt_profile_max_shapes": shapes(largest),
    }
    rows = (f"    parameters {{ key: {json.dumps(k)} value: {json.dumps(v)} }}" for k, v in parameters.items())
    return [
        "optimization { execution_accelerators {",
        '  gpu_execution_accelerator { name: "tensorrt"',
        *rows,
        "  }",
        "} }",
    ]


def _client(network: Network, inputs: Sequence[_Value], outputs: Sequence[_Value]) -> str:
    if inputs[0].name == INPUT and inputs[0].type == "UINT8":
        read = 'np.asarray(Image.open(path).convert("RGB"))[None]'
        imports, argument = "from PIL import Image", "IMAGE"
    else:
        read = "np.load(path).astype(np.float32)[None]"
        imports, argument = "", "ARRAY.npy"
    return _template(
        "client.py.txt",
        NAME=network.name,
        INPUTS=repr([(value.name, value.type) for value in inputs]),
        OUTPUT=repr(outputs[0].name),
        CLASSES=str(min(5, network.classes) if network.classes is not None else 0),
        READ=read,
        IMPORTS=imports,
        ARGUMENTS=" ".join([argument] * len(inputs)),
    )


def _template(name: str, **values: str) -> str:
    """A text of the package with `@NAME@` and so on replaced."""
    text = (files("archdsl.serving") / "files" / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
