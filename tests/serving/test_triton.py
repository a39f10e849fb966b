"""The model configuration in protobuf's own parser; with `--all` the folder in the server of nvidia-pytriton.

That server has no onnxruntime backend: the test replaces it by a Python backend that runs the same ONNX file. Set
ARCHDSL_PYTRITON to the Python of an environment with nvidia-pytriton, onnxruntime and Pillow.

Tests `serving/triton.py`.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import archdsl
from archdsl.serving.triton import TritonSettings, triton_files

text_format = pytest.importorskip("google.protobuf.text_format")
PYTRITON = os.environ.get("ARCHDSL_PYTRITON", "")
SPEC = """
name: n
input: 3x32x32
preprocess: imagenet
labels: [cat, "a: dog", bird]
net:
  c: 3x3 conv 4 bn relu
  p: gap
  fc: fc 3
"""


def configuration(folder: Path) -> Any:
    """The configuration as protobuf reads it, which rejects unknown fields and wrong types."""
    package = importlib.util.find_spec("tritonclient")
    if package is None or not package.submodule_search_locations:
        pytest.skip("tritonclient is not installed")
    path = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return text_format.Parse((folder / "config.pbtxt").read_text(encoding="utf-8"), module.ModelConfig())


def test_a_network_with_its_preprocessing(tmp_path: Path) -> None:
    folder = archdsl.bundle(archdsl.loads(SPEC), "triton", tmp_path, embed_preprocess=True, max_batch=16).folder
    config = configuration(folder)
    assert (config.name, config.backend, config.max_batch_size) == ("n", "onnxruntime", 16)
    assert (folder / "1" / config.default_model_filename).is_file()
    (image,), (scores,) = config.input, config.output
    assert (image.name, image.data_type, list(image.dims)) == ("pixels", 2, [-1, -1, 3])  # TYPE_UINT8
    assert (scores.name, scores.data_type, list(scores.dims)) == ("output", 11, [3])  # TYPE_FP32
    assert (folder / scores.label_filename).read_text().splitlines() == ["cat", "a: dog", "bird"]
    assert config.dynamic_batching.max_queue_delay_microseconds == 100
    assert [(group.count, group.kind) for group in config.instance_group] == [(1, 0)]  # KIND_AUTO
    warmups = [(one.batch_size, list(one.inputs["pixels"].dims)) for one in config.model_warmup]
    assert warmups == [(1, [32, 32, 3]), (16, [32, 32, 3])]
    assert not config.HasField("optimization")


def test_tensorrt_has_a_cache_and_profiles(tmp_path: Path) -> None:
    net = archdsl.loads("name: up\ninput: {a: [3, 32, 32], b: [3, 32, 32]}\nnet:\n  x: add <- a, b\n  y: upsample 2\n")
    folder = archdsl.bundle(net, "triton", tmp_path, tensorrt=True, precision="fp16", instances=2, max_batch=4).folder
    config = configuration(folder)
    (engine,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert engine.name == "tensorrt"
    assert dict(engine.parameters) == {
        "precision_mode": "FP16",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": "/tmp/tensorrt/up",
        "trt_timing_cache_enable": "1",
        "trt_profile_min_shapes": "a:1x3x32x32,b:1x3x32x32",
        "trt_profile_opt_shapes": "a:4x3x32x32,b:4x3x32x32",
        "trt_profile_max_shapes": "a:4x3x32x32,b:4x3x32x32",
    }
    assert [(group.count, group.kind) for group in config.instance_group] == [(2, 1)]  # KIND_GPU
    assert [list(value.dims) for value in (*config.input, *config.output)] == [[3, 32, 32], [3, 32, 32], [3, 64, 64]]


def test_free_sizes_are_free_for_the_server(tmp_path: Path) -> None:
    net = archdsl.loads("name: up\ninput: 3x32x32\nnet:\n  y: upsample 2\n")
    config = configuration(archdsl.bundle(net, "triton", tmp_path, max_batch=1, device="cpu").folder)
    assert [list(value.dims) for value in (*config.input, *config.output)] == [[3, -1, -1], [3, -1, -1]]
    assert [list(one.inputs["input"].dims) for one in config.model_warmup] == [[3, 32, 32]]
    assert config.instance_group[0].kind == 2  # KIND_CPU


@pytest.mark.parametrize("embed", [True, False])
def test_the_client_is_python(embed: bool, tmp_path: Path) -> None:
    net = archdsl.loads(SPEC)
    net.to_onnx(tmp_path / "n.onnx", embed_preprocess=embed)
    text = triton_files(net, [tmp_path / "n.onnx"], TritonSettings(), "fp32")["client.py"]
    assert isinstance(text, bytes)
    ast.parse(text)
    assert not re.search(rb"@[A-Z]+@", text)


BACKEND = """
import os
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        self.session = onnxruntime.InferenceSession(os.path.join(os.path.dirname(__file__), "model.onnx"))

    def execute(self, requests):
        answers = []
        for request in requests:
            array = triton.get_input_tensor_by_name(request, "pixels").as_numpy()
            (scores,) = self.session.run(["output"], {"pixels": array})
            answers.append(triton.InferenceResponse([triton.Tensor("output", scores)]))
        return answers
"""


@pytest.mark.slow
@pytest.mark.skipif(not PYTRITON, reason="ARCHDSL_PYTRITON is not set")
def test_the_server_answers_as_predict_does(tmp_path: Path) -> None:
    folder = archdsl.bundle(archdsl.loads(SPEC), "triton", tmp_path / "models", embed_preprocess=True).folder
    text = (folder / "config.pbtxt").read_text()
    (folder / "config.pbtxt").write_text(text.replace('"onnxruntime"', '"python"').replace("model.onnx", "model.py"))
    (folder / "1" / "model.py").write_text(BACKEND)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)).save(tmp_path / "x.png")
    want = {
        str(one.index): (one.label, one.value)
        for one in archdsl.predict(folder / "1" / "model.onnx", tmp_path / "x.png", top=3).images[0].classes
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = start_server(tmp_path, folder.parent, port)
    try:
        wait_for(f"http://127.0.0.1:{port}/v2/health/ready", server)
        client = [PYTRITON, str(folder / "client.py"), str(tmp_path / "x.png"), f"127.0.0.1:{port}"]
        answer = subprocess.run(client, capture_output=True, text=True, check=True, timeout=60).stdout
    finally:
        server.terminate()
        server.wait(timeout=60)
    rows = [row.split(":", 2) for row in re.findall(r"b'([^']*)'", answer)]
    powers = {index: np.exp(float(value)) for value, index, _ in rows}
    assert {index: label for _, index, label in rows} == {index: label for index, (label, _) in want.items()}
    for index, (_, probability) in want.items():
        assert powers[index] / sum(powers.values()) == pytest.approx(probability, abs=1e-5)


def start_server(scratch: Path, repository: Path, port: str) -> subprocess.Popen[bytes]:
    """The server of nvidia-pytriton, whose Python backend needs the stub of its Python version beside it."""
    show = "import pytriton, sys; print(pytriton.__path__[0]); print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([PYTRITON, "-c", show], capture_output=True, text=True, check=True, timeout=60)
    package, version = done.stdout.split()
    home = Path(package) / "tritonserver"
    shutil.copytree(home / "backends", scratch / "backends")
    shutil.copy(home / "python_backend_stubs" / version / "triton_python_backend_stub", scratch / "backends" / "python")
    libraries = Path(package).parent / "nvidia_pytriton.libs"
    environment = {
        "PATH": f"{Path(PYTRITON).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(package).parent),
        "LD_LIBRARY_PATH": str(libraries),
    }
    options = ["--http-address", "127.0.0.1", "--http-port", port, "--allow-grpc=false", "--allow-metrics=false"]
    command = [home / "bin" / "tritonserver", f"--model-repository={repository}"]
    return subprocess.Popen([*command, f"--backend-directory={scratch / 'backends'}", *options], env=environment)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(120):
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.5)
    raise AssertionError("the server is not ready")
