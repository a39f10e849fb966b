"""Whether one provider of ONNX Runtime really runs a model. Run as a process of its own: a broken driver may end it.

`python -m archdsl.runtime.probe CUDAExecutionProvider` prints one line of JSON: `{"works": ..., "detail": ...}`.
"""

from __future__ import annotations

import json
import sys

TINY = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x02'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x02B\x04\n\x00\x10\r"
)
"""An ONNX model, `y = Relu(x)` for two floats, so that the onnx package is not needed here."""


def probe(provider: str) -> dict[str, object]:
    """Runs one Relu on the provider."""
    import numpy as np
    import onnxruntime as ort

    from archdsl.runtime.session import load_libraries, prints, told

    ort.set_default_logger_severity(3)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    with prints() as printed:
        if provider != "CPUExecutionProvider":
            load_libraries(ort)
        session = ort.InferenceSession(TINY, options, providers=[provider])
    ran = session.get_providers()
    if ran[0] != provider:
        why = told(printed.getvalue())
        return {
            "works": False,
            "detail": f"does not start: {why}" if why else f"does not start; ONNX Runtime would use {ran[0]} instead",
        }
    (out,) = session.run(None, {"x": np.array([-1.0, 2.0], np.float32)})
    right = out.tolist() == [0.0, 2.0]
    return {"works": right, "detail": "" if right else f"computes wrongly: {out.tolist()}"}


if __name__ == "__main__":
    try:
        found = probe(sys.argv[1])
    except Exception as problem:
        found = {"works": False, "detail": " ".join(str(problem).split())[:300]}
    print(json.dumps(found))
