"""W0624 and W0625: files that are probably not the weights that their reader expects.

Tests `backends/weights/doubts.py`.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.backends.weights import save
from archdsl.cli import main

torch = pytest.importorskip("torch")
SPEC = "name: tiny\ninput: 3x8x8\ndefaults: {conv: bn}\nnet: [3x3 conv 4, gap, fc 2]\n"


def saved(folder: Path, trained: bool) -> Path:
    """A file of PyTorch's own that is named after its hash."""
    module = archdsl.loads(SPEC).to_torch(seed=1)
    if trained:
        module.train()(torch.randn(4, 3, 8, 8))
    torch.save(module.state_dict(), folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()
    return (folder / "w.pth").rename(folder / f"tiny-{digest[:8]}.pth")


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("own_hash", [True, False])
def test_each_verb_warns(trained: bool, own_hash: bool, tmp_path: Path) -> None:
    file = saved(tmp_path, trained)
    if not own_hash:
        file = file.rename(tmp_path / "tiny-00000000.pth")
    (tmp_path / "tiny.yaml").write_text(SPEC)
    expected = {code for code, wrong in (("W0624", not own_hash), ("W0625", not trained)) if wrong}
    for args in (["weights", "inspect", file], ["compile", tmp_path / "tiny.yaml", "--weights", file]):
        result = CliRunner().invoke(
            main, [*map(str, args), *(["-o", str(tmp_path / "x.onnx")] * (args[0] == "compile"))]
        )
        assert result.exit_code == 0, result.output
        assert {code for code in ("W0624", "W0625") if f"warning[{code}]" in result.stderr} == expected
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        archdsl.load(tmp_path / "tiny.yaml").to_torch(file)
    assert {str(warning.message)[:5] for warning in caught} == expected


def test_random_weights_of_archdsl_are_expected_in_a_folder_too(tmp_path: Path) -> None:
    network = archdsl.loads(SPEC)
    save(network.weights(seed=3), tmp_path / "tiny.safetensors")
    for place in (tmp_path, tmp_path / "tiny.safetensors"):
        weights = network.weights(place)
        assert "W0625" not in [note.code for note in weights.notes]
        assert weights.source.startswith("random, seed 3 (sha256:")


def test_a_file_with_a_hash_in_its_name_is_read_once_for_the_warning_and_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, hashed = hashlib.file_digest, list[str]()

    def counted(file: BinaryIO, name: str) -> Any:
        hashed.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    file = saved(tmp_path, trained=True)
    weights = archdsl.loads(SPEC).weights(file)
    assert weights.source.startswith(f"sha256:{file.stem[-8:]}") and hashed == [str(file)]
