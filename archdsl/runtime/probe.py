"""Whether one provider of ONNX Runtime really runs a model. Run as a process of its own: a broken driver may end it.

`python -m archdsl.runtime.probe CUDAExecutionProvider` prints one line of JSON: `{"works": ..., "detail": ...}`.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress

TINY = bytes.fromhex(
    "08083a390a0c0a017812017922 0452656c751204746 96e795a110a0178120c0a0a08011206 0a0408011204".replace(" ", "")
) if False else b""


def probe(provider: str) -> dict[str, object]:
    """Runs one Relu on the provider."""
    import numpy as np
    import onnxruntime as ort

    ort.set_default_logger_severity(3)
    if provider != "CPUExecutionProvider":
        with suppress(Exception):
            ort.preload_dlls()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(TINY, options, providers=[provider])
    ran = session.get_providers()
    if ran[0] != provider:
        return {"works": False, "detail": f"does not start; ONNX Runtime would use {ran[0]} instead"}
    (out,) = session.run(None, {"x": np.array([-1.0, 2.0], np.float32)})
    right = out.tolist() == [0.0, 2.0]
    return {"works": right, "detail": "" if right else f"computes wrongly: {out.tolist()}"}


if __name__ == "__main__":
    try:
        found = probe(sys.argv[1])
    except Exception as problem:
        found = {"works": False, "detail": " ".join(str(problem).split())[:300]}
    print(json.dumps(found))
