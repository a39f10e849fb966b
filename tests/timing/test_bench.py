"""`archdsl bench`: what it measures and says. No time is asserted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.timing import contestants
from archdsl.timing.job import Job
from archdsl.timing.profile import profile
from archdsl.timing.turns import ROUNDS, Contest

SPEC = """
name: small
input: 3x32x32
args: {w: 8}
defaults: {conv: bn relu}
net:
  conv: 2 * 3x3 conv w
  narrow: 1x1 conv 4 groups=4 plain
  wide: 2x2 deconv 4 /2 plain
  pool: 2x2 maxpool
  end: gap
  fc: fc 10
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return str(path)


def bench(*args: str) -> Result:
    return CliRunner().invoke(main, ["bench", *args, "--threads", "1", "--seconds", "0.1"])


def test_side_by_side(spec: str) -> None:
    done = bench(spec, "-a", "w=4", "--input", "3x16x24", "--batch", "1,3", "--against", "torch", "--format", "json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    rows = report["timings"]
    assert [(r["kind"], r["batch"]) for r in rows] == [("archdsl", 1), ("torch", 1), ("archdsl", 3), ("torch", 3)]
    for row in rows:
        assert row["runs"] >= ROUNDS
        assert row["ratio"][1] <= row["ratio"][0] <= row["ratio"][2]
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["images_s"] == pytest.approx(1000 * row["batch"] / row["p50_ms"])
        assert row["peak_bytes"] > 2**24
        assert row["difference"] < 1e-5
    assert rows[0]["ratio"] == [1, 1, 1]


def test_a_compiled_model(spec: str, tmp_path: Path) -> None:
    model = tmp_path / "small.onnx"
    archdsl.load(spec).to_onnx(model, free_sizes=True)
    done = bench(str(model))
    assert done.exit_code == 1
    assert "E0806" in done.output
    assert "open sizes" in done.output
    done = bench(str(model), "--input", "3x16x16", "--format", "json")
    assert json.loads(done.stdout)["timings"][0]["runs"] >= ROUNDS
    for wrong in ("3x16", "1x16x16", "3xax4", "3x0x4"):
        done = bench(str(model), "--input", wrong)
        assert done.exit_code == 1
        assert "E0806" in done.output
    fixed = archdsl.loads("input: 3x8x8\nnet: [fc 4]")
    fixed.to_onnx(model, force=True)
    done = bench(str(model), "--format", "markdown")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("| network | device | batch | way |")
    assert done.stdout.count("\n") == 3


def test_work_by_node_adds_up(spec: str, tmp_path: Path) -> None:
    """What the profile finds in the file is what the graph says, although ONNX Runtime joined nodes."""
    net = archdsl.load(spec)
    net.to_onnx(tmp_path / "m.onnx")
    job = Job("archdsl", str(tmp_path / "m.onnx"), "", "", {"input": (2, 3, 32, 32)})
    found = profile(job, runs=2)
    assert sum(node.macs for node in found.nodes) == 2 * net.macs
    assert {"narrow", "wide", "pool", "end", "fc"} <= {node.path for node in found.nodes}
    assert all(0 <= node.of_roof <= 1 for node in found.nodes)


def test_half_precision(spec: str) -> None:
    done = bench(spec, "--precision", "fp16")
    assert done.exit_code == 0, done.output
    assert bench("x.onnx", "--precision", "fp16").exit_code == 2


def test_the_profile_as_text(spec: str) -> None:
    done = bench(spec, "--profile", "--top", "3")
    assert done.exit_code == 0, done.output
    assert "of roof" in done.stdout
    assert "GMAC/s" in done.stdout
    assert done.stdout.splitlines()[0] == "small, batch 1"


def test_one_that_fails_takes_nothing_with_it(spec: str, tmp_path: Path) -> None:
    archdsl.load(spec).to_onnx(tmp_path / "m.onnx")
    good = Job("archdsl", str(tmp_path / "m.onnx"), spec, str(tmp_path / "none.safetensors"), {"input": (1, 3, 32, 32)})
    bad = Job("torch", good.model, good.spec, good.weights, good.shapes)
    with Contest(str(tmp_path)) as contest:
        contest.add(good)
        contest.add(bad)
        assert len(contest.failed) == 1
        assert "none.safetensors" in contest.failed[0].diagnostics[0].message
        assert [timing.kind for timing in contest.timings(0.1)] == ["archdsl"]
    with Contest(str(tmp_path)) as contest, pytest.raises(ArchError, match="E0810"):
        contest.add(bad)


def test_inputs_are_the_same_for_all() -> None:
    job = Job("archdsl", "", "", "", {"input": (2, 3, 4, 4)}, seed=7)
    first, second = contestants.inputs(job), contestants.inputs(Job.from_json(json.loads(json.dumps(job.to_json()))))
    assert (first["input"] == second["input"]).all()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--batch", "0"], "not a list of sizes"),
        (["--batch", "1,1"], "not a list of sizes"),
        (["--batch", "a"], "not a list of sizes"),
        (["--profile", "--against", "torch"], "leave out"),
        (["--device", "cuda"], "CUDAExecutionProvider"),
        (["--against", "keras"], "is not one of"),
        (["-o", "/nowhere/x.json"], "no directory"),
    ],
)
def test_wrong_usage_is_told_before_any_work(spec: str, args: list[str], said: str) -> None:
    done = bench(spec, *args)
    assert done.exit_code == 2
    assert said in done.output


def test_weights_are_of_one_network(spec: str) -> None:
    assert bench(spec, spec, "--weights", "x.safetensors").exit_code == 2
