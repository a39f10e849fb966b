"""Test whether one provider of ONNX Runtime runs a model; a subprocess, because a broken driver may crash it.

`python -m archdsl.runtime.probe CUDAExecutionProvider 1` prints one line of JSON: `{"works": ..., "detail": ...}`. The
number is that of the GPU. The model has a convolution, a pool and a matrix product: a missing cuDNN or cuBLAS shows.
"""

from __future__ import annotations

import json
import sys

EXPECTED = [[10.0, 24.0], [26.0, 56.0]]
"""The pool of `2 * pixels` has the rows 10, 14 and 26, 30; the columns of the matrix are (1, 0) and (1, 1)."""


def model() -> bytes:
    """Return an ONNX model, encoded without the onnx package. All its values are inputs."""
    from archdsl.backends.onnx import encode, protobuf
    from archdsl.backends.onnx.plan import ValueInfo
    from archdsl.backends.onnx.records import OnnxNode

    nodes = (
        OnnxNode("conv", "Conv", ("x", "kernel"), ("doubled",), {"pads": (1, 1, 1, 1)}),
        OnnxNode("pool", "MaxPool", ("doubled",), ("pooled",), {"kernel_shape": (2, 2), "strides": (2, 2)}),
        OnnxNode("product", "MatMul", ("pooled", "matrix"), ("y",), {}),
    )
    inputs = [ValueInfo("x", (1, 1, 4, 4)), ValueInfo("kernel", (1, 1, 3, 3)), ValueInfo("matrix", (2, 2))]
    graph = encode.graph("probe", nodes, inputs, [ValueInfo("y", (1, 1, 2, 2))], ())
    head = encode.model(7, "archdsl", "", "", 13, {})  # which every runtime reads
    return head + protobuf.message(encode.MODEL_GRAPH, graph)


def probe(provider: str, number: int = 0) -> dict[str, object]:
    """Run the model on the provider; return `works` and `detail`, the nodes that it ran or what is wrong."""
    import numpy as np
    import onnxruntime as ort

    from archdsl.runtime.placement import Recording
    from archdsl.runtime.session import capture_stdout, load_libraries, start_failure

    ort.set_default_logger_severity(3)
    options, recording = ort.SessionOptions(), Recording()
    options.log_severity_level = 3
    options.enable_profiling, options.profile_file_prefix = True, recording.prefix
    on_gpu = provider.startswith(("CUDA", "Tensorrt"))
    with capture_stdout() as printed:
        if on_gpu:
            load_libraries(ort)
        chosen = (provider, {"device_id": str(number)}) if on_gpu else provider
        session = ort.InferenceSession(model(), options, providers=[chosen])
    ran = session.get_providers()
    if ran[0] != provider:
        why = start_failure(printed.getvalue())
        return {
            "works": False,
            "detail": f"does not start: {why}" if why else f"does not start; ONNX Runtime would use {ran[0]} instead",
        }
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 1, 1] = 2
    pixels, matrix = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4), np.triu(np.ones((2, 2), np.float32))
    (out,) = session.run(None, {"x": pixels, "kernel": kernel, "matrix": matrix})
    recording.finish(session)
    if out[0, 0].tolist() != EXPECTED:
        return {"works": False, "detail": f"wrong result: {out[0, 0].tolist()}, not {EXPECTED}"}
    elsewhere = {f"{op} ran on {other}" for other, op in recording.nodes if other != provider}
    if elsewhere:
        return {"works": False, "detail": "; ".join(sorted(elsewhere))}
    return {"works": True, "detail": "ran " + ", ".join(sorted(op for _, op in recording.nodes))}


if __name__ == "__main__":
    try:
        result = probe(sys.argv[1], *map(int, sys.argv[2:3]))
    except Exception as problem:
        result = {"works": False, "detail": " ".join(str(problem).split())[:300]}
    print(json.dumps(result))
