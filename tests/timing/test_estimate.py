"""Estimates of latency from a calibration, which here has known rates; and a short calibration of this machine.

Tests `timing/estimate.py`, `timing/calibration.py`, `timing/calibrate.py`, `timing/kernels.py` and `timing/probes.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import archdsl
from archdsl.cli import main

pytest.importorskip("onnxruntime")

from archdsl.timing import estimate
from archdsl.timing.calibration import Calibration, Sample, read_calibration, save, target, this_machine
from archdsl.timing.kernels import kernels
from archdsl.timing.probes import PROBES

PLAIN = "name: plain\ninput: 8x16x16\nnet: {a: 1x1 conv 24 relu, p: gap, f: fc 10}\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    estimate._latest.cache_clear()
    return tmp_path / "cache"


def calibration(*samples: Sample, kernel_ms: float = 0.5, run_ms: float = 2.0) -> Calibration:
    """A machine with 10^9 multiply-accumulates and 10^9 bytes per second."""
    return Calibration(this_machine(1), "2026-01-02", 1e9, 1e9, run_ms, kernel_ms, samples)


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, args)])


def test_kernels_are_those_of_the_runtime() -> None:
    """A norm is folded, an activation runs inside the convolution, a flatten and a dropout run nowhere."""
    net = archdsl.loads(
        "name: t\ninput: 3x16x16\nnet: {a: 3x3 conv 16 bn relu, b: 3x3 conv 16 linear, g: gap, d: dropout, f: fc 4}\n"
    )
    found = kernels(net.graph)
    kinds = [kernel.kind for kernel in found if "block" not in kernel.kind]
    assert kinds == ["few channels 2d", "conv 2d", "gap", "fc"]
    assert sum(kernel.macs for kernel in found) == net.macs
    first = found[0]
    assert {"a.conv", "a/relu"} <= set(first.paths) and first.weights == 16 * 27 + 16


def test_the_time_is_the_longer_of_work_and_transfer_divided_by_the_efficiency() -> None:
    """With an efficiency of 1: a millisecond for each million multiply-accumulates, or for each million bytes."""
    net = archdsl.loads(PLAIN)
    save(calibration())
    (one,) = archdsl.estimate(net).estimates
    # 1x1 conv: 8 * 24 * 256 multiply-accumulates; (8 + 24) * 256 values and 8 * 24 + 24 weights of 4 bytes.
    conv = max(8 * 24 * 256, 4 * (32 * 256 + 216)) / 1e6
    pool = 4 * (24 * 256 + 24) / 1e6
    fc = max(240, 4 * (24 + 10 + 250)) / 1e6
    reorders = one.kernels - 3
    expected = 2.0 + 0.5 * one.kernels + conv + pool + fc
    assert one.estimated_ms == pytest.approx(expected, abs=0.06 * (reorders + 1))
    slow = calibration(Sample("pointwise 2d", 8 * 24 * 256, 32 * 256, 216, (8, 24, 1, 256), 0.5 + 4 * conv))
    assert slow.kernel_time(kernels(net.graph)[0]) == pytest.approx(0.5 + 4 * conv)


def test_a_larger_batch_takes_longer() -> None:
    save(calibration())
    times = [one.estimated_ms for one in archdsl.estimate("lenet5", batch=[1, 2, 8, 64]).estimates]
    assert times == sorted(times) and len(set(times)) == 4


def test_the_cache_keeps_a_calibration() -> None:
    with pytest.raises(archdsl.ArchError, match="E0925") as caught:
        read_calibration()
    assert "archdsl bench --calibrate" in str(caught.value)
    known = calibration(Sample("conv 2d", 1, 2, 3, (1, 2, 3, 4), 0.25))
    save(known)
    assert read_calibration() == (known, ()) == read_calibration(1)
    with pytest.raises(archdsl.ArchError, match="E0925"):
        read_calibration(2)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format": "archdsl calibration 1"}', "[" * 5000, "other machine", "nan", "negative"],
)
def test_broken_and_foreign_files_are_ignored(content: str, cache: Path) -> None:
    known = calibration()
    path = save(known)
    data = json.loads(path.read_text())
    if content == "other machine":
        data["machine"]["cpu"] = "another CPU"
    elif content in ("nan", "negative"):
        data["macs_s"] = float("nan") if content == "nan" else -1.0
    path.write_text(json.dumps(data) if content in ("other machine", "nan", "negative") else content)
    with pytest.raises(archdsl.ArchError, match="E0925") as caught:
        read_calibration()
    assert f"`{path}` is ignored" in str(caught.value)
    save(replace(known, machine=this_machine(3)))
    found, (warning,) = read_calibration()
    assert found.machine.threads == 3 and warning.code == "W0926"


def test_the_command_says_that_it_estimates() -> None:
    result = run("lenet5", "--estimate")
    assert result.exit_code == 2 and "E0925" in result.stderr
    for command in ("sweep resnet50 -a base=32,64 --sort", "solve resnet50 --over base=32 --params 1G --maximise"):
        result = CliRunner().invoke(main, [*command.split(), "estimated_ms"])
        assert result.exit_code == 2 and result.stderr.startswith("error[E0925]"), result.stderr
    save(calibration())
    table = run("lenet5", "vgg16", "--estimate", "--batch", "1,4").stdout
    assert "estimated ms" in table and "estimated, not measured: calibration of 2026-01-02" in table
    assert len([line for line in table.splitlines() if line.startswith(("lenet5", "vgg16"))]) == 4
    data = json.loads(run("lenet5", "--estimate", "--format", "json").stdout)
    assert data["date"] == "2026-01-02" and data["estimates"][0]["estimated_ms"] > 0
    compared = CliRunner().invoke(main, ["compare", "lenet5", "alexnet", "--sort", "estimated_ms"])
    assert "estimated ms" in compared.stdout, compared.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["lenet5", "--calibrate"], "takes no SPEC"),
        (["lenet5", "--estimate", "--against", "torch"], "float32"),
        (["--estimate"], "Missing argument"),
        ([], "Missing argument"),
        (["lenet5", "--estimate", "--device", "cuda"], "none for GPUs"),
        (["--calibrate", "-a", "n=3"], "no meaning"),
        (["--calibrate", "--seconds", "0.1"], "E0002"),
    ],
)
def test_wrong_requests(args: list[str], words: str) -> None:
    result = run(*args)
    assert result.exit_code == 2 and words in result.stderr, result.stderr


def test_tables_name_the_calibration(tmp_path: Path) -> None:
    save(calibration())
    path = tmp_path / "net.yaml"
    path.write_text("input: 8x16x16\nargs: {w: 24}\nnet: {a: 1x1 conv w relu, p: gap, f: fc 10}\n")
    sweep = archdsl.sweep(path, {"w": "8,16"}, sort="estimated_ms")
    best = archdsl.solve(path, over={"w": [8, 16]}, budgets={"estimated_ms": "1s"}, maximise="params")
    for text in (sweep.text(), best.text()):
        assert "not measured: calibration of 2026-01-02" in text and "1 thread" in text


def test_the_cache_is_tested_before_the_measurement(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.timing.calibrate._facts", lambda *_: pytest.fail("measured"))
    path = target(this_machine(1))
    path.mkdir()
    with pytest.raises(archdsl.ArchError, match="E0701") as caught:
        archdsl.calibrate(1)
    assert "ARCHDSL_CACHE" in str(caught.value)


def test_probes_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.timing import calibrate

    monkeypatch.setattr(calibrate, "PROBES", PROBES[:1])
    facts = list(calibrate._steps(1, 0.02))
    assert facts[0]["macs_s"] > 0 and facts[0]["bytes_s"] > 0
    assert facts[-1]["samples"] and all(sample["ms"] > 0 for sample in facts[-1]["samples"])


@pytest.mark.slow
def test_this_machine_is_measured() -> None:
    result = run("--calibrate", "--threads", "1", "--seconds", "1")
    assert result.exit_code == 0, result.stderr
    assert "GMAC/s" in result.stdout
    known, _ = read_calibration(1)
    assert known.macs_s > 0 and known.bytes_s > 0 and len(known.samples) >= len(PROBES)
    assert archdsl.estimate("lenet5", threads=1).estimates[0].estimated_ms > 0


def test_a_failed_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.timing.calibrate._COMMAND", ("/bin/false",))
    with pytest.raises(archdsl.ArchError, match="E0927"):
        archdsl.calibrate(1, seconds=1)
