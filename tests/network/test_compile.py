"""A network compiled from Python: the same files as the command line writes, and the same errors.

Tests `network/network.py`, `network/open.py`, `network/about.py` and `compilation/write.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.compilation.onnx_options import PRECISIONS
from archdsl.compilation.targets import TARGETS
from archdsl.diagnostics import ArchError
from archdsl.network import Network
from tests.support.places import CAT

TINY = (
    "name: tiny\ninput: 3x8x8\nargs: {classes: 10}\nnet:\n  conv: 3x3 conv 4 bn relu\n  pool: gap\n  fc: fc classes\n"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.fixture
def net(here: Path) -> Network:
    return archdsl.load("tiny.yaml")


@pytest.fixture
def photos(here: Path) -> Path:
    from PIL import Image

    folder = here / "photos"
    folder.mkdir()
    with Image.open(CAT) as cat:
        for turn in range(3):
            cat.rotate(90 * turn).save(folder / f"{turn}.png")
    return folder


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(ArchError) as caught:
        call()
    assert caught.value.status == 2
    return caught.value.diagnostics[0].code


# --- compile ---------------------------------------------------------------------------------------------


def test_every_target_from_one_call(net: Network, here: Path) -> None:
    (here / "all").mkdir()
    compiled = net.compile(here / "all", ["onnx", "torch", "weights"], seed=7)
    assert [(f.target, f.path.name) for f in compiled.files] == [
        ("onnx", "tiny.onnx"),
        ("torch", "tiny.py"),
        ("weights", "tiny.safetensors"),
    ]
    for file in compiled.files:
        data = file.path.read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (compiled.weights, compiled.random, compiled.difference) == ("random, seed 7", True, None)
    assert compiled.fingerprint == net.fingerprint
    assert net.weights(here / "all" / "tiny.safetensors").keys() == net.weights().keys()


def test_the_command_writes_what_the_method_writes(net: Network, here: Path) -> None:
    for target, row in TARGETS.items():
        compiled = net.compile(f"python{row.suffix}", target, seed=3)
        args = ["compile", "tiny.yaml", "--to", target, "--seed", "3", "-o", f"command{row.suffix}", "--format", "json"]
        done = CliRunner().invoke(main, args)
        assert done.exit_code == 0, done.output
        (file,) = json.loads(done.stdout)["files"]
        assert (file["bytes"], file["sha256"]) == (compiled.files[0].size, compiled.files[0].sha256)


def test_the_default_path_is_the_name_with_the_suffix_of_the_target(net: Network, here: Path) -> None:
    assert net.compile().files[0].path == Path("tiny.onnx")
    assert net.compile(target="torch").weights is None
    assert net.compile(target="torch").files[0].path == Path("tiny.py")
    assert Path("tiny.py").read_text() == net.to_source()


def test_external_data_is_one_more_file(net: Network, here: Path) -> None:
    compiled = net.compile("x.onnx", external_data=True)
    assert [f.path.name for f in compiled.files] == ["x.onnx", "x.onnx.data"]


def test_notes_come_with_the_result(here: Path) -> None:
    net = archdsl.loads(TINY.replace("net:", "labels: [a, b]\nnet:"))
    assert "N0903" in [note.code for note in net.notes]
    weights = {key: np.zeros_like(value) for key, value in net.weights().items()}
    compiled = net.compile("x.onnx", weights=weights, precision="bf16")
    assert {note.code for note in compiled.notes} >= {"N0903", "W0606", "N0718"}
    assert (compiled.weights, compiled.random, compiled.precision) == ("given", False, "bf16")


def test_strict_weights(net: Network, here: Path) -> None:
    weights = dict(net.weights())
    weights["fc.weight"] = np.full_like(weights["fc.weight"], np.nan)
    net.compile("odd.onnx", weights=weights)
    with pytest.raises(ArchError) as caught:
        net.compile("strict.onnx", weights=weights, strict=True)
    assert [(d.code, d.severity) for d in caught.value.diagnostics] == [("W0606", "error")]
    assert not Path("strict.onnx").exists()


def test_progress_names_the_work_and_ends_at_its_whole_amount(net: Network, here: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}

    def watch(work: str) -> Callable[[int, int], None]:
        return lambda done, whole: seen.setdefault(work, []).append((done, whole))

    net.compile(here, ["onnx", "weights"], progress=watch)
    assert list(seen) == ["writing tiny.onnx", "writing tiny.safetensors"]
    assert all(steps[-1][0] == steps[-1][1] for steps in seen.values())


def test_a_failure_leaves_no_file(net: Network, here: Path) -> None:
    Path("tiny.py").write_text("somebody's")
    assert code_of(lambda: net.compile(here, list(TARGETS))) == "E0703"
    assert sorted(p.name for p in here.iterdir()) == ["tiny.py", "tiny.yaml"]
    assert code_of(lambda: net.compile("tiny.yaml", force=True)) == "E0702"


def test_int8_from_python(net: Network, photos: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = net.to_onnx("int8.onnx", precision="int8", calibrate=photos)
    assert model.difference is not None
    assert model.difference.images == 3
    assert [note.code for note in model.notes] == ["W0862"]
    assert "QuantizeLinear" in {node.op_type for node in onnx.load("int8.onnx").graph.node}
    compiled = net.compile("again.onnx", precision="int8", calibrate=sorted(photos.iterdir()))
    assert compiled.difference == model.difference
    assert compiled.files[0].sha256 == model.sha256
    assert code_of(lambda: net.to_onnx("tiny.yaml", precision="int8", calibrate=photos, force=True)) == "E0702"


# --- wrong arguments -------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, Callable[[Any], object]]] = {
    "precision": ("E0001", lambda net: net.to_onnx("x.onnx", precision="fp17")),
    "pass": ("E0001", lambda net: net.to_onnx("x.onnx", passes=["nope"])),
    "one pass": ("E0004", lambda net: net.to_onnx("x.onnx", passes="drop-dead")),
    "optimised": ("E0001", lambda net: net.optimised(["nope"])),
    "optimised by one": ("E0004", lambda net: net.optimised("drop-dead")),
    "int8 without images": ("E0861", lambda net: net.to_onnx("x.onnx", precision="int8")),
    "int8 of no folder": ("E0861", lambda net: net.to_onnx("x.onnx", precision="int8", calibrate="nowhere")),
    "int8 of no images": ("E0861", lambda net: net.to_onnx("x.onnx", precision="int8", calibrate=[])),
    "images without int8": ("E0003", lambda net: net.to_onnx("x.onnx", calibrate=".")),
    "int8 and shapes": ("E0003", lambda net: net.to_onnx("x", precision="int8", calibrate=".", value_info=True)),
    "int8 and data": ("E0003", lambda net: net.compile("x", precision="int8", calibrate=".", external_data=True)),
    "target": ("E0001", lambda net: net.compile(target="tflite")),
    "no target": ("E0002", lambda net: net.compile(target=[])),
    "weights in source": ("E0003", lambda net: net.compile(target="torch", weights={})),
    "precision of source": ("E0003", lambda net: net.compile(target="torch", precision="fp16")),
    "sizes of weights": ("E0003", lambda net: net.compile(target="weights", free_sizes=True)),
    "reinit alone": ("E0003", lambda net: net.compile(reinit=["fc.*"])),
    "reinit of source": ("E0003", lambda net: net.compile(target="torch", reinit=["fc.*"])),
    "one reinit": ("E0004", lambda net: net.weights({}, reinit="fc.*")),
    "seed": ("E0002", lambda net: net.weights(seed=-1)),
    "seed of source": ("E0002", lambda net: net.compile(target="torch", seed=-1)),
    "large seed": ("E0002", lambda net: net.to_onnx("x.onnx", seed=2**63)),
    "seed as text": ("E0002", lambda net: net.to_onnx("x.onnx", seed="7")),
    "weights": ("E0004", lambda net: net.weights(7)),
    "weights by number": ("E0004", lambda net: net.weights({7: np.zeros(1)})),
    "weights of words": ("E0004", lambda net: net.weights({"fc.bias": np.array(["a"])})),
    "weights that are missing": ("E0607", lambda net: net.weights("missing.pth")),
    "folder": ("E0701", lambda net: net.compile("missing/x.onnx")),
    "depth": ("E0002", lambda net: net.summary(depth=-1)),
    "batch": ("E0002", lambda net: net.summary(batch=0)),
    "spec": ("E0004", lambda net: archdsl.load(7)),  # type: ignore[arg-type]
    "text": ("E0004", lambda net: archdsl.loads(7)),  # type: ignore[arg-type]
    "variant": ("E0004", lambda net: archdsl.loads(TINY, variant=7)),  # type: ignore[arg-type]
    "input": ("E0004", lambda net: archdsl.load("vgg16", input=3.5)),  # type: ignore[arg-type]
    "input of bytes": ("E0004", lambda net: archdsl.load("vgg16", input=b"3x4x4")),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_have_a_code_and_write_nothing(case: str, net: Network, here: Path) -> None:
    code, call = WRONG[case]
    assert code_of(lambda: call(net)) == code
    assert [p.name for p in here.iterdir()] == ["tiny.yaml"]


def test_an_unknown_name_is_answered_with_all_that_exist(net: Network) -> None:
    for call, expected in (
        (lambda: net.to_onnx("x.onnx", precision="fp17"), "fp32, fp16, bf16, int8"),  # type: ignore[arg-type]
        (lambda: net.compile(target="weight"), "did you mean `weights`?"),  # type: ignore[arg-type]
        (lambda: net.optimised(["drop-deed"]), "did you mean `drop-dead`?"),
    ):
        with pytest.raises(ArchError) as caught:
            call()
        assert expected in str(caught.value)


@pytest.mark.parametrize(("device", "code"), [("gpuu", "E0001"), ("cuda:99", "E0803"), (object(), "E0001")])
def test_devices(net: Network, device: Any, code: str) -> None:
    pytest.importorskip("torch")
    assert code_of(lambda: net.to_torch(device=device)) == code


def test_an_unknown_option_is_a_type_error(net: Network) -> None:
    for call in (net.diagram, net.page, net.compile, net.save_diagram):
        with pytest.raises(TypeError):
            call(colour="macs")  # type: ignore[call-arg]


# --- the tables ------------------------------------------------------------------------------------------


def test_the_command_offers_what_the_library_takes() -> None:
    """Choices stand in the help of the command; here they are compared with the library's own."""
    from typing import get_args

    from archdsl.drawing.diagram import FORMATS, STYLES
    from archdsl.drawing.request import Direction, Heat, Style, ThemeChoice
    from archdsl.drawing.save import Format

    choices = {
        (name, option.name): tuple(option.type.choices)
        for name in ("compile", "diagram")
        for option in main.get_command(None, name).params  # type: ignore[arg-type, union-attr]
        if hasattr(option.type, "choices")
    }
    assert choices["compile", "target"] == tuple(TARGETS)
    assert choices["compile", "precision"] == PRECISIONS
    assert choices["diagram", "theme"] == get_args(ThemeChoice)
    assert choices["diagram", "direction"] == get_args(Direction)
    assert choices["diagram", "color"][:4] == get_args(Heat)
    assert set(get_args(Format)) == set(FORMATS)
    assert get_args(Style) == tuple(STYLES)


@pytest.mark.parametrize(
    ("input", "net", "names", "reason"),
    [
        ("3x9x9", "{a: 3x3 conv 4 /2 pad=same}", "HW", "`conv` at line 3"),
        ("3x9x9", "{a: 3x3 conv 4, f: fc 5}", "HW", "`flatten` at line 3"),
        ("{a: 3x8x8, b: 3x8x8}", "{c: 'concat <- a, b'}", ["a_H", "a_W", "b_H", "b_W"], "equal by chance"),
    ],
)
def test_sizes_that_stay_fixed_although_they_were_asked_for(
    input: str, net: str, names: Sequence[str], reason: str, tmp_path: Path
) -> None:
    network = archdsl.loads(f"name: n\ninput: {input}\nnet: {net}\n")
    compiled = network.to_onnx(tmp_path / "n.onnx", free_sizes=True)
    assert [note.code for note in compiled.notes] == ["N0701"] * len(names)
    assert [note.message.split()[0] for note in compiled.notes] == list(names)
    assert all(reason in note.notes[0] for note in compiled.notes)
    assert network.to_onnx(tmp_path / "m.onnx").notes == (), "nobody asked"
