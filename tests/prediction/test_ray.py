"""Tests `prediction/ray_engine.py`: chunks on a Ray cluster, of which a worker is lost.

The tests of a cluster need Ray and are skipped without it; docs/prediction.md has the command that runs them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.prediction.ray_engine import RayEngine
from tests.support.places import ROOT

COUNT = 60


def test_options_have_the_names_of_ray() -> None:
    texts = {"address": "auto", "num_cpus": "2", "num_gpus": "0.5", "resources": '{"tpu": 1}', "max_retries": "5"}
    assert RayEngine.from_texts(texts) == RayEngine("auto", 2, 0.5, None, {"tpu": 1}, 5)
    for name, text in (("num_cpus", "two"), ("max_retries", "1.5"), ("resources", '{"tpu": "a"}'), ("memory", "-1")):
        with pytest.raises(ArchError) as caught:
            RayEngine.from_texts({name: text})
        assert caught.value.diagnostics[0].code == "E0002"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"num_cpus": -1}, "E0002"),
        ({"num_cpus": 0}, "E0002"),
        ({"num_gpus": float("nan")}, "E0002"),
        ({"max_retries": True}, "E0002"),
        ({"resources": 3}, "E0004"),
        ({"resources": {"tpu": -1}}, "E0002"),
        ({"address": 6379}, "E0004"),
    ],
)
def test_wrong_values(options: dict[str, Any], code: str) -> None:
    with pytest.raises(ArchError) as caught:
        RayEngine(**options)
    assert caught.value.diagnostics[0].code == code


def test_the_data_of_a_model_is_shipped_and_decides_the_worker_s_model(tmp_path: Path) -> None:
    """A Ray that runs tasks at once, in this process."""
    model, image = tmp_path / "net.onnx", tmp_path / "a.png"
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(image)
    net = archdsl.loads("name: net\ninput: 3x8x8\nnet: [3x3 conv 64, gap, fc 3]")
    put: list[dict[str, bytes]] = []
    ray = SimpleNamespace(
        cluster_resources=lambda: {"CPU": 1.0},
        put=lambda files: put.append(files) or len(put),
        remote=lambda **_: lambda _: SimpleNamespace(remote=lambda key, *_: key),
        get=lambda key: [key],
    )
    keys = []
    for _ in range(2):  # the second file of weights has another name
        net.to_onnx(model, external_data=True)
    data = tmp_path / "net.onnx.2.data"
    for value in (0, 1):
        data.write_bytes(data.read_bytes()[:-4] + np.float32(value).tobytes())
        with archdsl.predict_stream(model, image) as stream:
            ((_, (key,)),) = RayEngine()._run(ray, stream.job, [(0, stream.samples)])
        keys.append(key)
    assert [sorted(files) for files in put] == [["net.onnx", "net.onnx.2.data"]] * 2 and keys[0] != keys[1]


def test_a_resource_that_no_node_has_is_an_error_and_not_a_wait() -> None:
    has = {"CPU": 8.0, "GPU": 2.0, "tpu": 3.0}
    assert RayEngine(num_cpus=2)._places(has) == 4
    assert RayEngine(num_gpus=1, resources={"tpu": 1})._places(has) == 2
    for engine in (RayEngine(num_cpus=9), RayEngine(resources={"fpga": 1}), RayEngine(memory=1)):
        with pytest.raises(ArchError) as caught:
            engine._places(has)
        assert caught.value.diagnostics[0].code == "E0833"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that runs nothing, and two workers with one CPU each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    store = {"object_store_memory": 100 << 20}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **store})
    try:
        yield made, [made.add_node(num_cpus=1, **store) for _ in range(2)]
    finally:
        made.shutdown()


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")
def test_a_lost_worker_loses_no_image(cluster: Any, tmp_path: Path) -> None:
    model, folder, out = tmp_path / "net.onnx", tmp_path / "in", tmp_path / "out"
    archdsl.loads("name: net\ninput: 3x8x8\nnet: [3x3 conv 4, gap, fc 3]").to_onnx(model)
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(draw.integers(0, 256, (9, 9, 3), np.uint8)).save(folder / f"{number:03}.png")
    (folder / "broken.png").write_bytes(b"no image")
    nodes, workers = cluster
    engine = RayEngine(nodes.address, max_retries=5)
    rows = []
    for row in archdsl.predict_stream(model, folder, chunk=2, engine=engine):
        rows.append(row)
        if len(rows) == 9:
            nodes.remove_node(workers[0], allow_graceful=False)
    here = list(archdsl.predict_stream(model, folder, chunk=2))
    assert [row.image for row in rows] == [row.image for row in here]
    assert rows == here or all(a.image == b.image and type(a) is type(b) for a, b in zip(rows, here, strict=True))
    archdsl.predict_stream(model, folder, chunk=2, engine=engine).write(out)
    archdsl.predict_stream(model, folder, chunk=2).write(tmp_path / "here")
    parts = sorted(path.name for path in out.glob("part-*"))
    assert len(parts) == (COUNT + 2) // 2
    assert [(out / name).read_bytes() for name in parts] == [(tmp_path / "here" / name).read_bytes() for name in parts]
