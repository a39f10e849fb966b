"""Test whether one provider of ONNX Runtime runs a model; a subprocess, because a broken driver may crash it.

`python -m archdsl.runtime.probe CUDAExecutionProvider` prints one line of JSON: `{"works": ..., "detail": ...}`.
"""

from __future__ import annotations

import json
import sys

TINY = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x02'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x02B\x04\n\x00\x10\r"
)
"""An ONNX model, `y = Relu(x)` for two floats, as bytes, so that this module does not need the onnx package."""


def probe(provider: str) -> dict[str, object]:
    """Run one Relu on the provider; return `works` and `detail`."""
    import numpy as np
    import onnxruntime as ort

    from archdsl.runtime.session import capture_stdout, load_libraries, start_failure

    ort.set_default_logger_severity(3)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    with capture_stdout() as printed:
        if provider != "CPUExecutionProvider":
            load_libraries(ort)
        session = ort.InferenceSession(TINY, options, providers=[provider])
    ran = session.get_providers()
    if ran[0] != provider:
        why = start_failure(printed.getvalue())
        return {
            "works": False,
            "detail": f"does not start: {why}" if why else f"does not start; ONNX Runtime would use {ran[0]} instead",
        }
    (out,) = session.run(None, {"x": np.array([-1.0, 2.0], np.float32)})
    correct = out.tolist() == [0.0, 2.0]
    return {"works": correct, "detail": "" if correct else f"wrong result: {out.tolist()}, not [0.0, 2.0]"}


if __name__ == "__main__":
    try:
        result = probe(sys.argv[1])
    except Exception as problem:
        result = {"works": False, "detail": " ".join(str(problem).split())[:300]}
    print(json.dumps(result))
