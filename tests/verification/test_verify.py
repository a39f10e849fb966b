"""`archdsl verify`: right artefacts pass, an error of 1e-3 in one weight does not, and the file carries the result.

Tests `verification/compare.py`, `cli/verify.py`, `verification/verify.py`, `verification/observe.py` and
`verification/stored.py`.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import numpy_helper

import archdsl
from archdsl.backends.weights import save
from archdsl.cli import main
from archdsl.runtime.model import read_facts
from archdsl.verification import certificate

SMALL = """
name: small
input: 3x24x24
defaults: {conv: bn relu}
blocks:
  excite(mid, c=in): {branches: [identity, {pool: gap, fc1: 1x1 conv mid plain relu, fc2: 1x1 conv c plain hardsigmoid}], merge: mul}
  basic(w, s=1):
    residual: {conv1: 3x3 conv w /s, conv2: 3x3 conv w linear, se: excite(4)}
    then: relu
net:
  stem: 5x5 conv 8 /2 pad=same silu
  pool: 3x3 maxpool /2 pad=1
  body: 3 * basic(16, 2 if first else 1)
  mix:
    inception:
      one: 1x1 conv 4 gelu
      two: {a: 3x3 conv 4 elu, b: prelu}
      three: {up: 3x3 conv 4 plain tanh, gn: gn groups=2}
  drop: dropout 0.1
  average: 2x2 avgpool /1
  fc: fc 10 softmax
"""  # noqa: E501


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    net = archdsl.load("small.yaml")
    draw = np.random.default_rng(4)
    weights = {
        k: v + np.float32(0.1) * draw.standard_normal(v.shape).astype(v.dtype) if v.dtype == np.float32 else v
        for k, v in net.weights(seed=9).items()
    }
    weights = {k: np.abs(v) + np.float32(0.1) if k.endswith("running_var") else v for k, v in weights.items()}
    save(net.weights(weights), "w.safetensors")
    return tmp_path


def compiled(*options: str) -> None:
    made = run("compile", "small.yaml", "--weights", "w.safetensors", "-o", "m.onnx", "--force", *options)
    assert made.exit_code == 0, made.output


def report(*args: object) -> tuple[int, dict[str, Any]]:
    result = run("verify", *args, "--format", "json")
    return result.exit_code, json.loads(result.stdout)


def changed(name: str, key: str, by: float) -> None:
    """The file with one number of one tensor changed."""
    model = onnx.load("m.onnx")
    found = next(item for item in model.graph.initializer if item.name == key)
    array = numpy_helper.to_array(found).copy()
    array[(0,) * array.ndim] += by
    found.CopyFrom(numpy_helper.from_array(array, key))
    onnx.save(model, name)


def test_module_source_and_onnx_of_a_spec(here: Path) -> None:
    status, data = report("small.yaml", "--weights", "w.safetensors")
    assert status == 0 and data["passed"] and data["certificate"] is None
    assert set(data["worst"]) == {"module", "source", "onnx"}
    for worst in data["worst"].values():
        assert worst["exceeded"] == 0 and worst["difference"] < 0.7 * worst["tolerance"]
    net = archdsl.load("small.yaml")
    listed = {node["path"] for node in data["nodes"]} | set(data["absent"])
    assert listed == {node.path for node in net.nodes[1:]}
    norms = {node.path for node in net.nodes if node.op.name == "bn"}
    assert norms <= {node["path"] for node in data["nodes"] if node["onnx"] is not None}, (
        "a conv gives its norm's value"
    )


def test_an_error_in_one_weight_of_the_file_is_found_where_it_is(here: Path) -> None:
    compiled("-O0")
    changed("bad.onnx", "stem.conv.weight", 1e-3)
    result = run("verify", "small.yaml", "bad.onnx", "--weights", "w.safetensors")
    assert result.exit_code == 1
    assert "error[E0821]: `stem.conv` of the ONNX file does not compute what the spec says" in result.stderr
    assert "differs by" in result.stderr and " in channel 0; the tolerance is" in result.stderr
    assert "stem.conv, channel 0  1 OVER THE TOLERANCE" in result.stdout and "certificate" not in result.stdout
    assert certificate.KEY not in read_facts("bad.onnx").metadata


def test_an_error_of_a_thousandth_in_any_weight_exceeds_the_tolerance(here: Path) -> None:
    """One number of each convolution and fully connected layer in turn: the node itself tells."""
    from archdsl.runtime.inputs import seeded_inputs
    from archdsl.verification.reference import reference_values

    net = archdsl.load("small.yaml")
    weights = dict(net.weights("w.safetensors"))
    inputs = seeded_inputs(net.graph)
    right = {j.node.path: j for j in reference_values(net.graph, weights, inputs)}
    for key in [key for key in weights if key.endswith("weight") and weights[key].ndim > 1]:
        wrong = weights[key].copy()
        wrong[1, _lively(right, net.graph.by_path[key.removesuffix(".weight")])] += 1e-3
        path = key.removesuffix(".weight")
        made = next(j for j in reference_values(net.graph, {**weights, key: wrong}, inputs) if j.node.path == path)
        found = right[path].deviation(made.value)
        assert found.exceeded and found.channel in (1, None), key


def _lively(right: dict[str, Any], node: Any) -> int:
    """The input channel with the largest number: an error in the weights of one that is 0 throughout changes
    nothing."""
    before = right[archdsl.load("small.yaml").nodes[node.inputs[0]].path].value
    return int(np.abs(before).reshape(*before.shape[:2], -1).max(axis=(0, 2)).argmax())


def test_a_flatten_may_stand_before_a_dropout_or_behind_it(here: Path) -> None:
    Path("flat.yaml").write_text("name: flat\ninput: 3x8x8\nnet: {g: gap, d: dropout 0.2, f: fc 4}\n")
    status, data = report("flat.yaml")
    assert status == 0 and data["passed"]


def test_a_certificate_is_written_and_repeated(here: Path) -> None:
    compiled()
    os.chmod("m.onnx", 0o640)
    before = Path("m.onnx").read_bytes()
    first = run("verify", "small.yaml", "m.onnx", "--weights", "w.safetensors")
    assert first.exit_code == 0 and "certificate written into m.onnx" in first.stdout, first.output
    after = Path("m.onnx").read_bytes()
    assert after.startswith(before) and stat.S_IMODE(os.stat("m.onnx").st_mode) == 0o640
    onnx.checker.check_model("m.onnx", full_check=True)
    found = certificate.read(dict(read_facts("m.onnx").metadata))
    assert found is not None and found.facts["spec_sha256"] == archdsl.load("small.yaml").fingerprint
    assert (
        found.facts["worst"]["onnx"]["exceeded"] == 0
        and {"torch", "onnxruntime", "archdsl"} <= found.facts["versions"].keys()
    )
    again = run("verify", "small.yaml", "m.onnx", "--weights", "w.safetensors")
    assert again.exit_code == 0 and "the certificate matches" in again.stdout
    assert Path("m.onnx").read_bytes() == after
    renewed = run("verify", "small.yaml", "m.onnx", "--weights", "w.safetensors", "--renew")
    assert renewed.exit_code == 0 and Path("m.onnx").read_bytes() == after, "the old one is taken out"


def test_a_changed_file_no_longer_matches(here: Path) -> None:
    compiled("-O0")
    assert run("verify", "m.onnx").exit_code == 0
    changed("m2.onnx", "fc.bias", 1e-7)
    result = run("verify", "m2.onnx")
    assert (
        result.exit_code == 1
        and "error[E0822]" in result.stderr
        and "does not match the file contents and the weights" in result.stderr
    )
    assert run("verify", "m2.onnx", "--renew").exit_code == 0
    assert run("verify", "m2.onnx").exit_code == 0


def test_a_file_alone(here: Path) -> None:
    compiled("-O0")
    status, data = report("m.onnx", "--no-write")
    assert status == 0 and set(data["worst"]) == {"module", "source", "onnx"} and data["absent"] == ["drop"]
    assert data["certificate"] == {"previous": None, "mismatches": [], "written": False}
    compiled()
    status, data = report("m.onnx")
    assert status == 0 and set(data["worst"]) == {"onnx"}
    compiled("--disable", "fold-before", "--disable", "fuse-gates", "--disable", "drop-identities")
    assert run("verify", "m.onnx").exit_code == 0


def test_whoever_has_only_the_file_checks_its_certificate(here: Path) -> None:
    """The file has folded weights, its certificate the hash of those that were trained."""
    compiled()
    assert run("verify", "small.yaml", "m.onnx", "--weights", "w.safetensors").exit_code == 0
    alone = run("verify", "m.onnx")
    assert alone.exit_code == 0 and "the certificate matches" in alone.stdout, alone.output
    changed("m2.onnx", "fc.bias", 1e-7)
    result = run("verify", "m2.onnx")
    assert result.exit_code == 1 and "does not match the file contents" in result.stderr


def test_half_precision_has_tolerances_of_its_own(here: Path) -> None:
    compiled("--precision", "fp16")
    status, data = report("small.yaml", "m.onnx", "--weights", "w.safetensors", "--no-write")
    assert status == 0 and 1e-5 < data["worst"]["onnx"]["difference"] < 0.5 * data["worst"]["onnx"]["tolerance"] < 0.1
    model = onnx.load("m.onnx")
    next(item for item in model.metadata_props if item.key == "precision").value = "int8"
    onnx.save(model, "m8.onnx")
    assert "error[E0823]" in run("verify", "m8.onnx").stderr


@pytest.mark.parametrize("name", ["m.onnx.data", "m.onnx.2.data"])
def test_external_data_is_part_of_it(name: str, here: Path) -> None:
    for _ in range(1 if name == "m.onnx.data" else 2):  # the second file of weights has another name
        compiled("--external-data")
    assert run("verify", "small.yaml", "m.onnx", "--weights", "w.safetensors").exit_code == 0
    data = bytearray(Path(name).read_bytes())
    data[4096] ^= 1
    Path(name).write_bytes(data)
    result = run("verify", "small.yaml", "m.onnx", "--weights", "w.safetensors")
    assert result.exit_code == 1 and "does not match the external data" in result.stderr


def test_what_cannot_be_verified(here: Path) -> None:
    compiled()
    model = onnx.load("m.onnx")
    model.producer_name = "another"
    onnx.save(model, "foreign.onnx")
    assert "weights imported from foreign.onnx" in run("verify", "foreign.onnx").stdout
    assert run("verify", "a.onnx", "b.onnx").exit_code == run("verify", "m.onnx", "-a", "x=1").exit_code == 2
    assert run("verify", "missing.onnx").exit_code == 2
    for item in model.metadata_props:
        if item.key == "spec":
            item.value = item.value.replace("fc: fc 10", "fc: fc 11").replace("out: 10", "out: 11")
    model.producer_name = "archdsl"
    onnx.save(model, "other.onnx")
    assert "error[E0822]" in run("verify", "other.onnx").stderr


@pytest.mark.parametrize(
    "said", ['{"version":1,"seed":-5,"batch":"x","input":[1]}', "[" * 50000, '{"version":2}', "\x00"]
)
def test_a_certificate_of_anybody_is_no_certificate(here: Path, said: str) -> None:
    assert certificate.read({certificate.KEY: said}) is None


def test_a_file_of_another_network(here: Path) -> None:
    compiled()
    result = run("verify", "lenet5", "m.onnx")
    assert result.exit_code == 1 and "`m.onnx` was compiled from `small`, not from `lenet5`" in result.stderr


def test_random_weights_are_made_again_from_their_seed(here: Path) -> None:
    assert run("compile", "small.yaml", "-o", "r.onnx", "--seed", "5").exit_code == 0
    status, data = report("r.onnx")
    assert status == 0 and data["weights"] == "random, seed 5" and set(data["worst"]) == {"module", "source", "onnx"}


# --- changed files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "fixed"), [(0, "the batch at 1"), (2, "H at 24")])
def test_an_axis_that_the_file_should_leave_free(here: Path, axis: int, fixed: str) -> None:
    Path("free.yaml").write_text("name: free\ninput: 3x24x24\nnet: {c: 3x3 conv 4, b: bn, g: relu}\n")
    model = onnx.load(archdsl.load("free.yaml").to_onnx("free.onnx").path)
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 24 if axis else 1
    onnx.save(model, "fixed.onnx")
    assert archdsl.verify("free.onnx", write=False).passed
    (problem,) = archdsl.verify("fixed.onnx").problems
    assert problem.code == "E0821" and f"`fixed.onnx` fixes {fixed};" in problem.message
    assert certificate.KEY not in read_facts("fixed.onnx").metadata
    net = archdsl.load("free.yaml")
    assert archdsl.verify(net, net.to_onnx("small.onnx", free_sizes=False).path).passed, "fixed on purpose"


def test_another_spec_in_the_metadata(here: Path) -> None:
    Path("up.yaml").write_text("name: up\ninput: 3x8x8\nnet: {c: 3x3 conv 4, u: upsample 2 linear}\n")
    net = archdsl.load("up.yaml")
    model = onnx.load(net.to_onnx("up.onnx").path)
    for item in model.metadata_props:
        if item.key == "spec":
            assert "linear" in item.value
            item.value = item.value.replace("linear", "nearest")
    onnx.save(model, "changed.onnx")
    for weights in (None, net.weights(seed=0)):
        (problem,) = archdsl.verify(net, "changed.onnx", weights=weights).problems
        assert problem.code == "E0822" and "the spec in the metadata of `changed.onnx`" in problem.message
    assert certificate.KEY not in read_facts("changed.onnx").metadata
    sized = archdsl.load("up.yaml", input="3x9x9")
    assert archdsl.verify(sized, "up.onnx").passed, "the same spec at another size"


def test_a_network_of_one_identity(here: Path) -> None:
    Path("id.yaml").write_text("name: q\ninput: 3x8x8\nnet: {a: identity}\n")
    net = archdsl.load("id.yaml")
    assert archdsl.verify(net, net.to_onnx("id.onnx").path).passed
    text = archdsl.verify(net).text()
    assert "not compared: it has no node of the spec, only outputs" in text and "--weights" not in text
    assert " 0.00e+00 " in text and "-0.0" not in text


def test_reasons_why_a_file_cannot_be_verified(here: Path) -> None:
    net = archdsl.loads("name: n\ninput: 3x8x8\nnet: {c: 3x3 conv 4, g: gap, f: fc 3}\n")
    with pytest.raises(archdsl.ArchError, match=r"E0823.*no bfloat16 kernels for the CPU"):
        archdsl.verify(net.to_onnx("bf.onnx", precision="bf16").path)
    bare = archdsl.loads("input: 3x8x8\nnet: {a: 3x3 conv 3}\n")  # nothing is folded: its weights are in the file
    with pytest.raises(archdsl.ArchError, match=r"E0823.*no bfloat16 kernels for the CPU"):
        archdsl.verify(bare.to_onnx("bare.onnx", dict(bare.weights()), precision="bf16").path)
    for size, words in (("3x8x8", "archdsl predict"), ("3x9", "on your arrays"), ("4x8x8", "on your arrays")):
        one = archdsl.loads(f"input: {size}\nnet: {{a: conv 3 kernel=3}}\n")
        half = onnx.load(one.to_onnx("one.onnx", precision="fp16").path)
        next(item for item in half.metadata_props if item.key == "precision").value = "int8"
        onnx.save(half, "int8.onnx")
        with pytest.raises(archdsl.ArchError, match="E0823") as caught:
            archdsl.verify("int8.onnx")
        assert words in caught.value.diagnostics[0].help
    model = onnx.load(net.to_onnx("m.onnx", dict(net.weights())).path)
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    weight = next(item for item in model.graph.initializer if item.name == gemm.input[1])
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).T.copy(), weight.name))
    next(attribute for attribute in gemm.attribute if attribute.name == "transB").i = 0
    onnx.save(model, "transposed.onnx")
    with pytest.raises(archdsl.ArchError, match=r"E0823.*were folded into others, or changed later"):
        archdsl.verify("transposed.onnx")


def test_nodes_of_the_file_that_the_spec_does_not_have_are_listed(here: Path) -> None:
    compiled()
    assert archdsl.verify("m.onnx", weights="w.safetensors", write=False).comparison.foreign == ()
    model = onnx.load("m.onnx")
    model.graph.node.append(onnx.helper.make_node("Identity", [model.graph.output[0].name], ["extra"], name="mine"))
    onnx.save(model, "more.onnx")
    result = archdsl.verify("more.onnx", weights="w.safetensors", write=False)
    assert result.comparison.foreign == ("mine",) and result.data()["foreign"] == ["mine"]
    assert "belong to no node of the spec, not compared: 1: mine" in result.text()
