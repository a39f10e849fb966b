"""`archdsl weights`: inspect, convert, match. Tests `cli/weights.py` and the package `weights`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from torch import Tensor, nn

import archdsl
import archdsl.backends.weights.match
import archdsl.weights.convert
import archdsl.weights.deploy
import archdsl.weights.inspection
import archdsl.weights.pairs
from archdsl.backends.weights import load
from archdsl.backends.weights.rules import read_rules
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.weights import convert, inspect, match, reparameterise
from tests.support.drawn_weights import scattered
from tests.weights.test_layouts import EMA, NETWORK, SD, TINY


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.yaml").write_text(TINY)


def run(*args: str) -> Result:
    return CliRunner().invoke(main, args)


# --- inspect ------------------------------------------------------------------------------------------------


def test_inspect_lists_statistics_and_places() -> None:
    bad = {**SD, "fc.bias": torch.tensor([1.0, float("nan"), float("inf"), -3, 0, 0, 0, 0, 0, 0])}
    torch.save({"model": {f"module.{key}": value for key, value in bad.items()}, "model_ema": EMA, "x": 1}, "w.pth")
    found = inspect("w.pth", networks=False)
    assert found.format == "torch" and found.prefix == "model.module." and set(found.places) == {"model.", "model_ema."}
    assert found.parameters == sum(v.numel() for k, v in SD.items() if "num_batches" not in k)
    facts = {tensor.name: tensor for tensor in found.tensors}
    bias = facts["model.module.fc.bias"]
    assert (bias.nan, bias.infinite, bias.minimum, bias.maximum, bias.shape, bias.dtype) == (
        1,
        1,
        -3,
        1,
        (10,),
        "float32",
    )
    weight = SD["fc.weight"].double()
    assert facts["model.module.fc.weight"].mean == pytest.approx(float(weight.mean()))
    assert facts["model.module.fc.weight"].std == pytest.approx(float(weight.std(correction=0)))
    printed = run("weights", "inspect", "w.pth", "--no-networks")
    assert printed.exit_code == 0 and "prefix    model.module" in printed.output
    data = json.loads(run("weights", "inspect", "w.pth", "--no-networks", "--format", "json").stdout)
    assert len(data["tensors"]) == 2 * len(SD) and data["prefix"] == "model.module."


def test_inspect_names_the_network_of_the_library() -> None:
    import torchvision

    state = torchvision.models.resnet18(num_classes=7).state_dict()
    save_file({f"model.{key}": value for key, value in state.items()}, "w.safetensors")
    found = inspect("w.safetensors")
    assert found.prefix == "model." and found.networks and found.networks[0].name == "resnet18"
    assert (found.networks[0].fitting, found.networks[0].tensors) == (120, 122)
    assert "network   resnet18 (120 of 122 tensors)" in found.text()


def test_inspect_shows_what_cannot_be_used() -> None:
    torch.save({**SD, "s": torch.eye(3).to_sparse()}, "w.pth")
    assert inspect("w.pth", networks=False).unusable == ("tensor `s` is sparse: call `.to_dense()` before saving",)


# --- convert ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "wanted"), [(None, SD), ("model_ema", EMA)])
def test_convert_writes_the_tensors_of_a_place(part: str | None, wanted: dict[str, Tensor]) -> None:
    torch.save(
        {"model": {f"module.{k}": v.half() if k == "fc.weight" else v for k, v in SD.items()}, "model_ema": EMA},
        "w.pth",
    )
    options = ["--part", part] if part else []
    done = run("weights", "convert", "w.pth", "-o", "w.safetensors", *options, "--ignore", "conv1.bn.num*")
    assert done.exit_code == 0 and "wrote w.safetensors" in done.output, done.output
    written = load("w.safetensors")
    assert set(written) == set(wanted) - {"conv1.bn.num_batches_tracked"}
    np.testing.assert_array_equal(written["conv1.conv.weight"], wanted["conv1.conv.weight"].numpy())
    NETWORK.weights("w.safetensors")


def test_convert_renames_and_refuses() -> None:
    torch.save({"a.w": torch.ones(2), "b.w": torch.ones(3)}, "w.pth")
    convert("w.pth", "w.safetensors", rename=["a=c.d"])
    assert set(load("w.safetensors")) == {"c.d.w", "b.w"}
    for options, code in (({"rename": ["a=b"]}, "E0604"), ({"part": "z"}, "E0608"), ({"ignore": ["z"]}, "E0604")):
        with pytest.raises(ArchError) as caught:
            convert("w.pth", "x.safetensors", **options)  # type: ignore[arg-type]
        assert caught.value.diagnostics[0].code == code
    with pytest.raises(ArchError):
        convert("w.pth", "w.pth", force=True)
    assert not Path("x.safetensors").exists()


# --- match --------------------------------------------------------------------------------------------------


class Script(nn.Module):
    """The small network as somebody else would write it: other names, the shortcut first, the head in a Sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.skip = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.entry = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.left = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.right = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.out = nn.Sequential(nn.Dropout(), nn.Linear(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        x = torch.relu(self.right(self.left(x)) + self.skip(x))
        y: Tensor = self.out(x.mean((2, 3)))
        return y


SCRIPT = """\
name: s
input: 3x16x16
defaults: {conv: bn relu}
net:
  stem: 3x3 conv 8
  block:
    residual:
      conv1: 1x1 conv 16
      conv2: 1x1 conv 16 linear
    then: relu
  pool: gap
  fc: fc 5
"""


def test_a_script_of_somebody_loads_by_its_order() -> None:
    theirs = scattered(Script())
    torch.save({"net": theirs.state_dict()}, "w.pth")
    Path("s.yaml").write_text(SCRIPT)
    done = run("weights", "match", "w.pth", "s.yaml", "-o", "map.txt")
    assert done.exit_code == 0 and "note[N0609]" in done.output, done.output
    assert "2 of bias 16, running_mean 16" in done.output
    assert "out.1=fc" in read_rules("map.txt")
    made = run(
        "compile", "s.yaml", "--weights", "w.pth", "--rename", "@map.txt", "--to", "weights", "-o", "s.safetensors"
    )
    assert made.exit_code == 0, made.output
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(archdsl.load("s.yaml").to_torch("s.safetensors")(x), theirs(x))


def test_what_has_no_partner_is_listed() -> None:
    other = {f"x.{key}": value for key, value in Script().state_dict().items() if not key.startswith("out")}
    torch.save({**other, "x.out.1.weight": torch.ones(9, 16), "loss": torch.ones(77)}, "w.pth")
    Path("s.yaml").write_text(SCRIPT)
    found = match("w.pth", "s.yaml")
    assert not found.complete and found.matching.missing == ["fc.weight", "fc.bias"]
    assert found.matching.unused == ["x.out.1.weight", "loss"]
    assert [d.code for d in found.diagnostics] == ["N0609", "W0609", "W0609"]
    assert run("weights", "match", "w.pth", "s.yaml").exit_code == 1
    network = archdsl.load("s.yaml")
    network.weights("w.pth", rename=found.rules, reinit=["fc"], ignore=["x.out*", "loss"])


def test_a_different_number_of_equal_layers_is_reported() -> None:
    torch.save({f"l{n}.weight": torch.ones(8, 8) for n in range(3)}, "w.pth")
    found = match("w.pth", archdsl.loads("input: 8\nnet: {a: fc 8 bias=false, b: fc 8 bias=false}"))
    assert found.matching.unsure == ["weight 8 x 8: 3 in the file, 2 in the network"] and not found.complete


def test_sorted_names_are_reported() -> None:
    state = {f"layers.{n}.weight": torch.full((8, 8), float(n)) for n in range(12)}
    save_file(state, "w.safetensors")
    text = "input: 8\nnet: {" + ", ".join(f"f{n}: fc 8 bias=false" for n in range(12)) + "}"
    found = match("w.safetensors", archdsl.loads(text))
    assert found.complete and found.matching.sorted_names and "sorted" in found.diagnostics[0].message
    weights = archdsl.loads(text).weights("w.safetensors", rename=found.rules)
    assert [float(weights[f"f{n}.weight"][0, 0]) for n in range(12)] == [*range(12)], "10 comes after 9"


@pytest.mark.parametrize("text", ["\0", "fc", "a=b\nhead"])
def test_rules_that_are_none(text: str) -> None:
    Path("map.txt").write_text(text)
    torch.save(SD, "w.pth")
    done = run("compile", "t.yaml", "--weights", "w.pth", "--rename", "@map.txt", "-o", "t.onnx")
    assert done.exit_code == 2 and "error[E0607]" in done.output
    assert run("compile", "t.yaml", "--weights", "w.pth", "--rename", "@none.txt", "-o", "t.onnx").exit_code == 2


def test_no_file_is_replaced() -> None:
    torch.save(SD, "w.pth")
    Path("map.txt").write_text("mine")
    done: Any = run("weights", "match", "w.pth", "t.yaml", "-o", "map.txt")
    assert done.exit_code == 2 and "E0703" in done.output and Path("map.txt").read_text() == "mine"
    assert run("weights", "match", "w.pth", "t.yaml", "-o", "new.txt").exit_code == 0
    assert run("weights", "match", "w.pth", "t.yaml", "-o", "new.txt").exit_code == 0, "its own file"


# --- reparameterise -----------------------------------------------------------------------------------------

FORMS = ["repvgg_a0", "mobileone_s0", "repvgg_b1g4", "repvgg_d2se", "mobileone_s1", "mobileone_s4"]


@pytest.mark.parametrize("name", [*FORMS[:2], *(pytest.param(name, marks=pytest.mark.slow) for name in FORMS[2:])])
def test_the_deployed_form_is_that_of_timm(name: str) -> None:
    """`reparameterize_model` of timm is the oracle, for the tensors and for the outputs."""
    import timm
    from timm.utils import reparameterize_model

    theirs = scattered(timm.create_model(name))
    torch.save({"model": theirs.state_dict()}, "w.pth")
    done = reparameterise("w.pth", name, "d.safetensors")
    assert done.difference < 1e-12
    deployed = reparameterize_model(theirs)
    network = archdsl.load(name, deploy=True, input="3x96x96")
    written = network.weights("d.safetensors")
    for key, value in deployed.state_dict().items():
        if "num_batches" not in key:
            np.testing.assert_allclose(written[key], value.numpy(), rtol=1e-4, atol=1e-5, err_msg=key)
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        ours, other = network.to_torch(written)(x), theirs(x)
    assert float((ours - other).abs().max() / other.abs().max()) < 1e-4


def test_a_network_without_a_deployed_form() -> None:
    torch.save(SD, "w.pth")
    done = run("weights", "reparameterise", "w.pth", "t.yaml", "-o", "d.safetensors")
    assert done.exit_code == 1 and "error[E0610]" in done.output and not Path("d.safetensors").exists()


def test_forms_that_differ_are_refused() -> None:
    """The two forms of this spec have other activations."""
    Path("s.yaml").write_text(
        "input: 3x16x16\nargs: {deploy: false}\ndefaults: {conv: plain}\nnet:\n"
        "  a: 3x3 conv 4 bn\n  r: {op: relu, when: not deploy}\n  t: {op: tanh, when: deploy}\n  p: gap\n  f: fc 2\n"
    )
    network = archdsl.load("s.yaml")
    torch.save({key: torch.from_numpy(np.array(value)) for key, value in network.weights(seed=1).items()}, "w.pth")
    done = run("weights", "reparameterise", "w.pth", "s.yaml", "-o", "d.safetensors")
    assert done.exit_code == 1 and "has other outputs" in done.output, done.output
