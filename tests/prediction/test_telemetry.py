"""ONNX Runtime sends nothing over the network when archdsl loads it (`archdsl.runtime`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import archdsl
from tests.support.loopback import loopback
from tests.support.places import ROOT


def test_the_variable_is_set_unless_the_user_did() -> None:
    code = "import os, archdsl.runtime.session; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    for given, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        clean = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
        env = {**clean, "PYTHONPATH": str(ROOT), **given}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == expected


@pytest.mark.slow
def test_nothing_is_sent(tmp_path: Path) -> None:
    archdsl.load("lenet5").compile(tmp_path / "lenet5.onnx")
    code = "import time\nfrom archdsl.runtime.session import onnxruntime\n"
    code += "session = onnxruntime().InferenceSession('lenet5.onnx')\ntime.sleep(20)"
    with loopback(tmp_path) as server:
        clean = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
        proxies = dict.fromkeys(("https_proxy", "HTTPS_PROXY", "http_proxy"), server.proxy)
        env = {**clean, "PYTHONPATH": str(ROOT), **proxies}
        done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, timeout=120)
        assert (done.returncode, server.requests) == (0, [])
