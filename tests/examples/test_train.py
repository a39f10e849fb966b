"""The example of a training runs as the page says, and its weights compile and verify."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import DOCS, ROOT

SCRIPT = ROOT / "examples" / "train.py"
VOLUMES = str(ROOT / "examples" / "volumes.yaml")


def run(folder: Path, *words: str, launcher: tuple[str, ...] = ()) -> float:
    """Run the script and return the accuracy that it prints, in percent."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, str(SCRIPT), *words, "-o", "trained.safetensors"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "every node is within its tolerance" in done.stdout
    assert "PyTorch module       -" not in done.stdout
    assert {"trained.safetensors", "trained.onnx"} <= {path.name for path in folder.iterdir()}
    found = re.search(r"([\d.]+) % of the test data are right", done.stdout)
    assert found is not None
    return float(found[1])


def test_lenet_learns_the_digits(tmp_path: Path) -> None:
    assert run(tmp_path, "lenet5") > 97


def test_a_network_for_volumes_in_mixed_precision(tmp_path: Path) -> None:
    assert run(tmp_path, VOLUMES, "--epochs", "6", "--amp") > 90


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29611")
    assert run(tmp_path, "lenet5", launcher=launcher) > 97


@pytest.mark.filterwarnings("ignore")
def test_the_python_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightning")
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "training.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/training.md", "exec"), names)
    weights = names["weights"]
    assert weights["bn1.running_mean"].any(), "the norms kept their statistics: the module was in evaluation mode"
