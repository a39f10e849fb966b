"""Images into networks: preparation, sessions, and `archdsl predict`.

Tests `prediction/picture.py`, `cli/predict.py`, `prediction/predict.py`, `prediction/result.py` and
`runtime/image_model.py`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.language.section_models import Preprocess
from archdsl.packages import install_command
from archdsl.prediction.predictor import open_predictor
from archdsl.runtime import session
from archdsl.runtime.model import read_facts
from archdsl.runtime.preprocess import MAX_PIXELS, LegalSizes, prepare
from archdsl.runtime.recipe import Recipe, Unfit, settle
from tests.support.places import CAT

FREE = (LegalSizes(), LegalSizes())

Make = Callable[[str, str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Compiles a spec's text; the ONNX file."""

    def compiled(text: str, name: str = "net") -> Path:
        path = tmp_path / f"{name}.onnx"
        archdsl.loads(f"name: {name}\n{text}").to_onnx(path, force=True)
        return path

    return compiled


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def refusal(act: Callable[[], object]) -> archdsl.Diagnostic:
    with pytest.raises(ArchError) as caught:
        act()
    return caught.value.diagnostics[0]


# --- the recipe ------------------------------------------------------------------------------------------


def test_a_preset_means_the_resize_and_crop_of_imagenet() -> None:
    imagenet = Preprocess(**Preprocess.presets["imagenet"])
    assert settle(imagenet, True, (3, 224, 224), False).resize == 256
    assert settle(imagenet, True, (3, 299, 299), False) == Recipe(
        resize=342, crop=(299, 299), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), layout="RGB"
    )


def test_without_a_preset_the_image_is_stretched_to_the_input() -> None:
    assert settle(None, False, (3, 32, 48), False) == Recipe(resize=(32, 48), layout="RGB")
    assert settle(Preprocess(mean=(0.5,)), False, (1, 32, 48), False) == Recipe(
        resize=(32, 48), mean=(0.5,), layout="L"
    )
    assert settle(None, False, (3, 32, 48), True).resize is None, "an image to an image: any size"


def test_another_input_size_scales_resize_and_crop() -> None:
    written = Preprocess(resize=256, crop=224)
    assert settle(written, False, (3, 224, 224), False).resize == 256
    bigger = settle(written, False, (3, 448, 448), False)
    assert (bigger.resize, bigger.crop) == (512, (448, 448))


@pytest.mark.parametrize(
    ("written", "channels", "why"),
    [
        (Preprocess(mean=(0.1, 0.2, 0.3)), 1, "`mean` has 3 values; the input has 1 channel"),
        (Preprocess(std=(0.0,)), 3, "`std` is a divisor"),
        (Preprocess(layout="L"), 3, "`layout: L` has 1 channels"),
        (Preprocess(), 6, "the input has 6 channels, an image has 1 or 3"),
    ],
)
def test_preprocessing_that_does_not_fit(written: Preprocess, channels: int, why: str) -> None:
    with pytest.raises(Unfit, match=why.replace("(", r"\(")):
        settle(written, False, (channels, 32, 32), False)


def test_a_recipe_travels_as_json() -> None:
    recipe = Recipe(resize=256, crop=(224, 224), scale=255.0, mean=(1.0, 2.0, 3.0), layout="BGR")
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json(Recipe(resize=(32, 48)).to_json()) == Recipe(resize=(32, 48))
    for text in (
        "[]",
        "{",
        '{"resize": "x"}',
        '{"resize": 0}',
        '{"crop": [1]}',
        '{"layout": "XYZ"}',
        '{"more": 1}',
        '{"mean": []}',
        '{"mean": ["a"]}',
        '{"resize": 99999999}',
        "7",
        '{"std": 1}',
    ):
        with pytest.raises((ValueError, TypeError)):
            Recipe.from_json(text)


# --- preparing images ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(451, 300), (300, 451), (224, 224), (1000, 257), (90, 60)])
def test_prepared_as_torchvision_does_it(tmp_path: Path, size: tuple[int, int]) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    path = tmp_path / "image.png"
    Image.open(CAT).resize(size).save(path)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(mean, std)]
    theirs = transforms.Compose(steps)(Image.open(path).convert("RGB")).numpy()[None]
    ours = prepare(path, Recipe(resize=256, crop=(224, 224), mean=mean, std=std, layout="RGB"), FREE).values
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def pixels(path: Path, recipe: Recipe, sizes: tuple[LegalSizes, ...] = FREE) -> np.ndarray:
    return prepare(path, recipe, sizes).values


def save(tmp_path: Path, image: Image.Image, name: str = "image.png", **more: object) -> Path:
    path = tmp_path / name
    image.save(path, **more)
    return path


def test_layout_and_scale(tmp_path: Path) -> None:
    path = save(tmp_path, Image.new("RGB", (3, 2), (255, 128, 0)))
    assert pixels(path, Recipe(layout="RGB"))[0, :, 0, 0] == pytest.approx([1, 128 / 255, 0])
    bgr = pixels(path, Recipe(scale=255.0, mean=(1.0, 2.0, 3.0), std=(2.0,), layout="BGR"))
    assert bgr.shape == (1, 3, 2, 3)
    assert bgr[0, :, 1, 2] == pytest.approx([-0.5, 63, 126])
    assert pixels(path, Recipe(layout="L"))[0, 0, 0, 0] == pytest.approx(151 / 255)  # ITU-R 601 weights


def test_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 2), "black")
    image.putpixel((0, 0), (255, 255, 255))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = save(tmp_path, image, f"{orientation}.png", exif=exif)
        found = prepare(path, Recipe(layout="L"), FREE)
        assert found.values.shape[2:] == ((2, 4) if orientation < 5 else (4, 2))
        corner = tuple(np.argwhere(found.values[0, 0] > 0.5)[0])
        height, width = found.values.shape[2:]
        expected = {
            1: (0, 0),
            2: (0, width - 1),
            3: (height - 1, width - 1),
            4: (height - 1, 0),
            5: (0, 0),
            6: (0, width - 1),
            7: (height - 1, width - 1),
            8: (height - 1, 0),
        }
        assert corner == expected[orientation]
        assert bool(found.notes) == (orientation > 1)


def test_sixteen_bits_keep_their_precision(tmp_path: Path) -> None:
    values = np.array([[0, 1, 32768, 65535]], np.uint16)
    path = save(tmp_path, Image.fromarray(values))
    found = prepare(path, Recipe(layout="L"), FREE)
    assert found.values[0, 0, 0] == pytest.approx(values[0] / 65535, abs=1e-7)
    assert "16 bits" in found.notes[0].message
    assert pixels(path, Recipe(resize=(2, 8), layout="RGB")).shape == (1, 3, 2, 8)


def test_colour_modes(tmp_path: Path) -> None:
    red = {
        "RGB": (255, 0, 0),
        "RGBA": (255, 0, 0, 255),
        "CMYK": (0, 255, 255, 0),
        "L": 76,
        "1": 1,
        "P": 0,
        "LA": (76, 255),
    }
    for mode, colour in red.items():
        image = Image.new(mode, (2, 2), colour)
        if mode == "P":
            image.putpalette([255, 0, 0])
        path = save(tmp_path, image, f"{mode}.tif")
        assert pixels(path, Recipe(layout="RGB")).shape == (1, 3, 2, 2)
        if mode not in ("L", "LA", "1"):
            assert pixels(path, Recipe(layout="RGB"))[0, :, 0, 0] == pytest.approx([1, 0, 0], abs=0.02)


def test_transparency_is_seen_on_white(tmp_path: Path) -> None:
    path = save(tmp_path, Image.new("RGBA", (2, 2), (0, 0, 0, 0)))
    found = prepare(path, Recipe(layout="RGB"), FREE)
    assert found.values.min() == 1.0
    assert [note.message.split(": ")[1] for note in found.notes if note.code == "N0804"] == [
        "its transparent parts were put on white"
    ]


def test_the_first_of_several_frames(tmp_path: Path) -> None:
    frames = [Image.new("L", (2, 2), value) for value in (255, 0, 0)]
    path = save(tmp_path, frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    found = prepare(path, Recipe(layout="L"), FREE)
    assert found.values.min() == 1.0
    assert [note.message.split(": ")[1] for note in found.notes if note.code == "N0804"] == [
        "it has several frames; only the first is used"
    ]


def test_sizes_a_network_takes(tmp_path: Path) -> None:
    assert [LegalSizes(None, 33, 32).nearest(n) for n in (1, 33, 64, 65, 100)] == [33, 33, 33, 65, 97]
    assert LegalSizes(7).nearest(100) == 7
    path = save(tmp_path, Image.new("L", (100, 70)))
    found = prepare(path, Recipe(layout="L"), (LegalSizes(None, 32, 32), LegalSizes(None, 32, 32)))
    assert found.values.shape == (1, 1, 64, 96)
    assert "resized from 100 x 70 to 96 x 64" in found.notes[0].message
    small = prepare(path, Recipe(crop=(80, 80), layout="L"), FREE)
    assert small.values.shape == (1, 1, 80, 80)
    assert "padded with black" in small.notes[0].message


# --- images that must not hurt ---------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    """A PNG that says it is large, and is small: one deflated block of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (13_000, 13_000), (8001, 8000), (2**31 - 1, 1)])
def test_too_many_pixels(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height))
    found = refusal(lambda: prepare(path, Recipe(), FREE))
    assert found.code == "E0804"
    assert "pixels" in found.message
    assert width * height > MAX_PIXELS


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"hello", "it is not one of PNG, JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is not one of"),
        (CAT.read_bytes()[:9000], "it is truncated or damaged"),
        (CAT.read_bytes()[:20], "it is not one of"),
        (png(50, 50)[:60], "it is"),
        (png(400, 400), "it is truncated or damaged"),
        (b"GIF89a" + bytes(20), "it is"),
        (b"II*\0" + b"\xff" * 100, "it is"),
    ],
)
def test_broken_images(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(data)
    found = refusal(lambda: prepare(path, Recipe(layout="RGB"), FREE))
    assert found.code == "E0804"
    assert why in found.message


def test_a_folder_or_nothing_is_no_image(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.png", Path("/dev/null")):
        assert refusal(lambda path=path: prepare(path, Recipe(), FREE)).code == "E0804"


def test_floats_of_unknown_meaning(tmp_path: Path) -> None:
    for values in ([[0.0, 7.5]], [[float("nan"), 1.0]]):
        path = save(tmp_path, Image.fromarray(np.array(values, np.float32)), "floats.tif")
        assert refusal(lambda path=path: prepare(path, Recipe(layout="L"), FREE)).code == "E0804"
    path = save(tmp_path, Image.fromarray(np.array([[0.25, 1.0]], np.float32)), "floats.tif")
    assert pixels(path, Recipe(layout="L"))[0, 0, 0, 0] == 0.25


def test_a_vector_takes_exactly_as_many_pixels(tmp_path: Path) -> None:
    path = save(tmp_path, Image.fromarray(np.array([[0, 51], [102, 255]], np.uint8)))
    assert pixels(path, Recipe(), (LegalSizes(4),)).tolist() == [pytest.approx([0, 0.2, 0.4, 1])]
    assert pixels(path, Recipe(), (LegalSizes(12),)).shape == (1, 12)
    found = refusal(lambda: pixels(path, Recipe(), (LegalSizes(5),)))
    assert (found.code, "4 pixels" in found.message) == ("E0806", True)


# --- models and sessions ---------------------------------------------------------------------------------


def test_what_a_model_says_of_itself(make: Make) -> None:
    facts = read_facts(make("input: 3x8x8\nlabels: [a, b]\nnet: [gap, fc 2]", "two"))
    assert facts.producer == "archdsl"
    assert facts.metadata["name"] == "two"
    assert facts.metadata["weights"] == "random, seed 0"
    assert facts.metadata["output"] == "logits"
    assert json.loads(facts.metadata["labels"]) == ["a", "b"]
    assert len(facts.metadata["spec_sha256"]) == 64
    assert Recipe.from_json(facts.metadata["preprocess"]) == Recipe(resize=(8, 8), layout="RGB")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x0a",
        b"hello world, this is text",
        CAT.read_bytes(),
        b"\x08\x0a\x3a\xff\xff\xff\xff\x7f",
        b"\xff" * 50,
        b"\x08\x0a\x72\x02\x0a\x09\x3a\x00",
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_not_a_model(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert refusal(lambda: read_facts(path)).code == "E0805"
    result = run("predict", path, CAT)
    assert (result.exit_code, "E0805" in result.stderr) == (1, True)


def test_a_missing_model() -> None:
    result = run("predict", "missing.onnx", CAT)
    assert result.exit_code == 2
    assert "cannot read the model `missing.onnx`: no such file" in result.stderr


def test_functions_are_refused(make: Make, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(make("input: 3x8x8\nnet: [gap, fc 2]", "net"))
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    opsets = [onnx.helper.make_opsetid("", 20)]
    model.functions.append(onnx.helper.make_function("mine", "f", ["x"], ["y"], [node], opsets))
    path = tmp_path / "functions.onnx"
    onnx.save(model, path)
    assert "it defines functions, which archdsl does not run" in refusal(lambda: read_facts(path)).message


def test_a_model_that_onnx_runtime_refuses(make: Make, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(make("input: 3x8x8\nnet: [gap, fc 2]", "net"))
    model.graph.node[0].op_type = "NoSuchOp"
    path = tmp_path / "unknown.onnx"
    onnx.save(model, path)
    found = refusal(lambda: open_predictor(path))
    assert found.code == "E0805"
    assert "NoSuchOp" in found.message


def test_a_device_that_is_not_there_is_an_error() -> None:
    available = session.onnxruntime().get_available_providers()
    if session.PROVIDERS["cuda"] in available:
        pytest.skip("this machine has it")
    result = run("predict", "lenet5", CAT, "--device", "cuda")
    assert result.exit_code == 2
    assert "error[E0803]: the device `cuda` needs CUDAExecutionProvider" in result.stderr
    assert install_command("gpu") in result.stderr


class _Falls:
    """An ONNX Runtime that offers CUDA and quietly runs on the CPU."""

    __version__ = "1.99"

    def __init__(self) -> None:
        import onnxruntime

        self.SessionOptions = onnxruntime.SessionOptions
        self._make = onnxruntime.InferenceSession

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        print("Failed to load /usr/lib/libcublas.so.13: cannot open shared object file")
        print("Please follow the guide to install CUDA.")

    def InferenceSession(self, source: object, options: object, providers: list[Any]) -> object:
        if len(providers) == 3:
            print("*** EP Error ***\nEP Error a.cc:9 void f(int, char) Please install TensorRT.\n when using [()]\n***")
        return self._make(source, options, providers=["CPUExecutionProvider"])


def test_a_quiet_fall_to_the_cpu_is_noticed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("input: 3x8x8\nnet: [gap, fc 2]", "net")
    monkeypatch.setattr(session, "onnxruntime", _Falls)
    found = refusal(lambda: session.open_session(model, "cuda"))
    assert (found.code, found.message) == ("E0803", "CUDAExecutionProvider is installed but does not start")
    lacking = "cannot load libraries: libcublas.so.13"
    assert found.notes[0] == lacking
    assert refusal(lambda: session.open_session(model, "tensorrt")).notes[0] == f"{lacking}; Please install TensorRT."
    opened = session.open_session(model, "auto")
    assert opened.provider == "CPUExecutionProvider"
    assert "does not start" in opened.note
    result = run("predict", model, CAT, "--format", "json")
    assert f"note[N0803]: CUDAExecutionProvider is installed but does not start ({lacking})" in result.stderr
    assert json.loads(result.stdout), "what ONNX Runtime prints is not among the results"


class _RecordsNothing(_Falls):
    """One that has a GPU, but a model whose work there cannot be recorded."""

    def InferenceSession(self, source: object, options: object, providers: list[Any]) -> object:
        (_, settings), _ = providers
        if settings["enable_cuda_graph"] == "1":
            raise RuntimeError(
                "[ONNXRuntimeError] : 1 : FAIL : not all nodes have been partitioned to CUDAExecutionProvider"
            )
        return _OnCuda(self._make(source, options, providers=["CPUExecutionProvider"]))


class _OnCuda:
    def __init__(self, inference: Any) -> None:
        self._inference = inference

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inference, name)


def test_what_cannot_be_recorded_runs_unrecorded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("input: 3x8x8\nnet: [gap, fc 2]", "net")
    monkeypatch.setattr(session, "onnxruntime", _RecordsNothing)
    opened = session.open_session(model, "cuda", session.Tuning(replay=True))
    assert (opened.provider, "cannot be recorded" in opened.note) == ("CUDAExecutionProvider", True)
    assert not session.open_session(model, "cuda").note


def test_a_bound_model_gives_what_a_run_gives(make: Make) -> None:
    opened = session.open_session(make("input: 3x8x8\nnet: [3x3 conv 4, gap, fc 2]", "net"), "cpu")
    x = {"input": np.random.default_rng(0).standard_normal((3, 3, 8, 8), np.float32)}
    bound = opened.bound(x)
    for _ in range(2):
        bound.run()
    assert np.array_equal(bound.outputs()[0], opened.run(x)[0])


def test_without_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    result = run("predict", "lenet5", CAT)
    assert result.exit_code == 2
    assert "error[E0802]: onnxruntime is not installed" in result.stderr
    assert install_command("cpu") in result.stderr


# --- what comes out --------------------------------------------------------------------------------------


def test_random_weights_never_pass_for_trained_ones(tmp_path: Path) -> None:
    warning = "the weights of `lenet5` are random: its predictions are meaningless"
    assert warning in run("predict", "lenet5", CAT).stderr
    weights = tmp_path / "w.safetensors"
    assert run("compile", "lenet5", "--to", "weights", "-o", weights).exit_code == 0
    assert warning in run("predict", "lenet5", CAT, "--weights", weights).stderr, "random, though from a file"
    model = tmp_path / "m.onnx"
    assert run("compile", "lenet5", "--weights", weights, "-o", model).exit_code == 0
    assert warning in run("predict", model, CAT).stderr
    again = tmp_path / "again.onnx"
    for options in ([], ["--opset", 17]):  # a compiled model as SPEC
        result = run("compile", model, "-o", again, "--force", *options)
        assert "(imported from m.onnx): NOT trained" in result.stderr
        result = run("predict", again, CAT, "--format", "json")
        assert warning in result.stderr
        assert json.loads(result.stdout)["random_weights"] is True


def test_the_best_classes(make: Make, tmp_path: Path) -> None:
    model = make(
        "input: 3x8x8\nlabels: [cat, dog, cow]\npreprocess: {mean: 0.5, std: 0.5}\nnet: [flatten, fc 3]", "pets"
    )
    result = run("predict", model, CAT, "--top", 2)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == str(CAT)
    assert lines[1].endswith("%  probability")
    assert {line.split()[2] for line in lines[1:3]} < {"cat", "dog", "cow"}
    assert "ran on CPUExecutionProvider (onnxruntime " in result.stdout
    report = json.loads(run("predict", model, CAT, CAT, "--format", "json").stdout)
    assert report["random_weights"] is True
    top = report["images"][1]["top"]
    assert sum(guess["value"] for guess in top) == pytest.approx(1)
    assert [guess["value"] for guess in top] == sorted((guess["value"] for guess in top), reverse=True)


@pytest.mark.parametrize(
    ("end", "reading", "measure"),
    [
        ("fc 3", "logits", "probability"),
        ("fc 3 softmax", "probabilities", "probability"),
        ("fc 3 tanh", "scores", "score"),
        ("rbf 3", "distances", "distance"),
        ("fc 1", "logits", "score"),
    ],
)
def test_how_numbers_are_read(make: Make, end: str, reading: str, measure: str) -> None:
    spec = f"input: 3x8x8\nnet: [gap, flatten, {end}, dropout 0.5]"
    assert archdsl.loads(spec).output_kind == reading
    made = open_predictor(make(spec, "net")).run(CAT)
    assert made.measure == measure
    values = [score.value for score in made.classes]
    assert values == sorted(values, reverse=measure != "distance")
    if measure == "probability":
        assert sum(values) == pytest.approx(1)


def test_the_same_as_torch(make: Make) -> None:
    torch = pytest.importorskip("torch")
    spec = "input: 3x32x32\npreprocess: imagenet\nnet: [3x3 conv 8 bn relu, gap, fc 10]"
    net = archdsl.loads(f"name: net\n{spec}")
    assert net.recipe is not None
    x = prepare(CAT, net.recipe, FREE).values
    with torch.no_grad():
        expected = torch.softmax(net.to_torch(seed=0)(torch.from_numpy(x)), 1)[0].tolist()
    made = open_predictor(make(spec, "net")).run(CAT, 10)
    assert [g.index for g in made.classes] == sorted(range(10), key=lambda i: -expected[i])
    assert [g.value for g in made.classes] == pytest.approx(sorted(expected, reverse=True), abs=1e-5)


def edges(stride: int) -> np.ndarray:
    """The contour filter by hand: eight times a pixel less its neighbours, over the sum of the channels."""
    x = np.asarray(Image.open(CAT).convert("RGB"), np.float64).sum(2) / 255
    padded = np.pad(x, 1)
    around = sum(padded[i : i + x.shape[0], j : j + x.shape[1]] for i in range(3) for j in range(3))
    return (9 * x - around)[::stride, ::stride]


@pytest.mark.parametrize(("name", "stride"), [("edge_filter", 1), ("edge_filter_stride3", 3)])
def test_the_edge_filter_on_a_photograph(tmp_path: Path, name: str, stride: int) -> None:
    out = tmp_path / "edges.png"
    result = run("predict", name, CAT, "-o", out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "", "its numbers are fixed: there is nothing to warn of"
    expected = edges(stride)
    height, width = expected.shape
    assert f"wrote {out}  {width} x {height}, grey" in result.stdout
    assert "clipped to 0 .. 1" in result.stdout
    got = np.asarray(Image.open(out), np.float64)
    assert np.abs(got - np.clip(expected, 0, 1) * 255).max() <= 0.5 + 1e-3
    stretched = run("predict", name, CAT, "-o", out, "--stretch")
    assert "stretched: " in stretched.stdout
    span = expected.max() - expected.min()
    got = np.asarray(Image.open(out), np.float64)
    assert np.abs(got - (expected - expected.min()) / span * 255).max() <= 0.5 + 1e-3


def test_an_image_of_one_pixel(tmp_path: Path) -> None:
    path = save(tmp_path, Image.new("RGB", (1, 1), "white"))
    result = run("predict", "edge_filter", path, "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.stderr
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (1, 1)


def test_where_images_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("predict", "edge_filter", CAT).exit_code == 0
    assert (tmp_path / "cat.edge_filter.png").exists()
    assert run("predict", "edge_filter", CAT, CAT, "-o", "edges.png").exit_code == 2
    (tmp_path / "out").mkdir()
    (tmp_path / "dog.jpg").write_bytes(CAT.read_bytes())
    assert run("predict", "edge_filter", CAT, "dog.jpg", "-o", "out").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cat.edge_filter.png", "dog.edge_filter.png"]
    before = (tmp_path / "dog.jpg").read_bytes()
    over = run("predict", "edge_filter", "dog.jpg", "-o", "dog.jpg")
    assert (over.exit_code, "E0702" in over.stderr) == (2, True)
    assert run("predict", "edge_filter", "dog.jpg", "-o", "dog.jpg", "--force").exit_code == 2
    assert (tmp_path / "dog.jpg").read_bytes() == before
    assert run("predict", "edge_filter", CAT, "-o", "edges.txt").exit_code == 2


def test_two_outputs_and_a_map(make: Make) -> None:
    model = make(
        "input: 3x16x16\nnet: {body: 3x3 conv 5, pool: gap, fc: fc 4}\noutputs: {logits: fc, features: body}", "net"
    )
    made = open_predictor(model).run(CAT)
    assert len(made.classes) == 4
    assert [(o.name, o.shape) for o in made.outputs] == [("features", (1, 5, 16, 16))]
    made = open_predictor(make("input: 3x16x16\nnet: [3x3 conv 5]", "map")).run(CAT)
    assert made.measure is None
    assert made.outputs[0].shape == (1, 5, 16, 16)


def test_not_for_images(tmp_path: Path, make: Make) -> None:
    spec = tmp_path / "several.yaml"
    spec.write_text("input: {a: 3x8x8, b: 3x8x8}\nnet: {sum: 'add <- a, b', pool: gap, fc: fc 2}\n")
    six = tmp_path / "six.yaml"
    six.write_text("input: 6x8x8\nnet: [gap, fc 2]\n")
    for path, why in ((spec, "has 2 inputs; an image fills only one"), (six, "the network's input has 6")):
        result = run("predict", path, CAT)
        assert (result.exit_code, why in result.stderr) == (1, True), result.stderr
    assert "has 2 inputs" in refusal(lambda: open_predictor(make(spec.read_text(), "s"))).message
    np.save(tmp_path / "six.npy", np.zeros((6, 8, 8)))
    assert len(open_predictor(make(six.read_text(), "x")).run(tmp_path / "six.npy").classes) == 2
    assert "`output` is for images, and `lenet5` outputs none" in run("predict", "lenet5", CAT, "-o", "x.png").stderr


def test_an_output_that_is_not_finite(make: Make, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    net = archdsl.loads("name: net\ninput: 3x8x8\nnet: {pool: gap, fc: fc 3}")
    arrays = {key: np.full_like(value, np.nan) for key, value in net.weights().items()}
    save_file(arrays, tmp_path / "nan.safetensors")
    net.to_onnx(tmp_path / "nan.onnx", tmp_path / "nan.safetensors")
    result = run("predict", tmp_path / "nan.onnx", CAT)
    assert result.exit_code == 0
    assert "warning[W0809]: cat.jpg: the output contains infinities or NaN" in result.stderr


def test_one_broken_image_among_others(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    result = run("predict", "lenet5", broken, CAT, tmp_path / "missing.jpg", "--format", "json")
    assert result.exit_code == 2, "the worst of all"
    assert [made["image"] for made in json.loads(result.stdout)["images"]] == [str(CAT)]
    assert result.stderr.count("error[E0804]") == 2
    assert run("predict", "lenet5", broken, CAT).exit_code == 1


def test_usage() -> None:
    assert run("predict", "lenet5").exit_code == 2
    result = run("predict", "model.onnx", CAT, "-a", "classes=3")
    assert (result.exit_code, "applies to a spec" in result.stderr) == (2, True)
    assert run("predict", "lenet5", CAT, "--device", "tpu").exit_code == 2
    assert run("predict", "lenet5", "missing.jpg").exit_code == 2


def test_foreign_metadata_is_not_trusted(make: Make, tmp_path: Path) -> None:
    import onnx

    base = onnx.load(make("input: 3x8x8\nnet: [gap, fc 2]", "net"))
    path = tmp_path / "foreign.onnx"
    for key, value in (
        ("preprocess", "{"),
        ("preprocess", '{"mean": [1, 2]}'),
        ("preprocess", '{"layout": "L"}'),
        ("preprocess", '{"std": [0]}'),
    ):
        del base.metadata_props[:]
        base.metadata_props.add(key=key, value=value)
        onnx.save(base, path)
        assert refusal(lambda: open_predictor(path)).code == "E0805"
    del base.metadata_props[:]
    base.metadata_props.add(key="labels", value='["only one", 7]')
    base.producer_name = "someone"
    onnx.save(base, path)
    opened = open_predictor(path)
    assert opened.labels is None
    assert not opened.weights
    assert [g.label for g in opened.run(CAT).classes] == [None, None]


# --- from Python -----------------------------------------------------------------------------------------

CLASSES = "input: 3x8x8\nlabels: [cat, dog, cow]\npreprocess: {mean: 0.5, std: 0.5}\nnet: [flatten, fc 3]"


def test_classes_of_a_network_a_spec_and_a_model(make: Make, tmp_path: Path) -> None:
    """The same network in three forms predicts the same, and `predict` prepares images as the recipe says."""
    network = archdsl.loads(f"name: pets\n{CLASSES}")
    spec = tmp_path / "pets.yaml"
    spec.write_text(f"name: pets\n{CLASSES}\n")
    works: list[str] = []
    results = [
        archdsl.predict(network, CAT, seed=0, watch=works.append),
        archdsl.predict(spec, [CAT]),
        archdsl.predict(make(CLASSES, "pets"), (str(CAT),), device="cpu"),
    ]
    assert works == ["compiling pets"]
    weight, bias = sorted((value for _, value in network.weights().items()), key=lambda value: -value.ndim)
    assert network.recipe is not None
    x = prepare(CAT, network.recipe, FREE).values.reshape(-1)
    logits = weight @ x + bias
    expected = np.exp(logits) / np.exp(logits).sum()
    for result in results:
        (image,) = result.images
        assert (result.model, image.image, image.measure) == ("pets", str(CAT), "probability")
        assert {c.label: c.index for c in image.classes} == {"cat": 0, "dog": 1, "cow": 2}
        assert {c.index: c.value for c in image.classes} == pytest.approx(dict(enumerate(expected)), abs=1e-5)
        assert result.random_weights
        assert [note.code for note in result.diagnostics] == ["W0808"]
        assert json.loads(json.dumps(result.data()))["images"][0]["top"][0]["index"] == int(expected.argmax())


def test_arguments_of_the_spec(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("input: 3x8x8\nargs: {classes: 3}\nnet: [gap, fc classes]\n")
    result = archdsl.predict(spec, CAT, args={"classes": 7}, input=(3, 16, 16), top=10)
    assert len(result.images[0].classes) == 7


def test_pictures_are_written_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (image,) = archdsl.predict("edge_filter", CAT).images
    assert image.picture is not None
    assert image.picture.dtype == np.float32
    assert image.file is None
    assert list(tmp_path.iterdir()) == []
    (written,) = archdsl.predict("edge_filter", CAT, output="edges.png").images
    assert written.file is not None
    assert written.file.path == Path("edges.png")
    with Image.open("edges.png") as file:
        assert file.size == image.picture.shape[:0:-1]
    (other,) = archdsl.predict("edge_filter", CAT, folder=tmp_path).images
    assert other.file is not None
    assert other.file.path == tmp_path / "cat.edge_filter.png"
    assert archdsl.predict("lenet5", CAT, folder=tmp_path).images[0].file is None


def test_two_pictures_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    twins = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        twins.append(tmp_path / folder / "cat.jpg")
        twins[-1].write_bytes(CAT.read_bytes())
    assert len(archdsl.predict("edge_filter", [twins[0]] * 2, folder=tmp_path).images) == 2
    result = archdsl.predict("edge_filter", twins, folder=tmp_path)
    assert not result.failures
    files = [image.file.path.relative_to(tmp_path).as_posix() for image in result.images if image.file is not None]
    assert files == ["a/cat.edge_filter.png", "b/cat.edge_filter.png"]
    assert all((tmp_path / file).is_file() for file in files)
    with pytest.raises(ArchError) as caught:
        archdsl.predict("edge_filter", [tmp_path / "a", tmp_path / "b"], output=tmp_path / "one.png")
    assert caught.value.diagnostics[0].code == "E0003"


def test_an_image_that_cannot_be_used_is_a_failure(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    result = archdsl.predict("lenet5", [broken, CAT])
    assert [image.image for image in result.images] == [str(CAT)]
    assert [failure.code for failure in result.failures] == ["E0804"]
    assert result.status == 1
    with pytest.raises(ArchError) as caught:
        archdsl.predict("lenet5", [broken, tmp_path / "missing.jpg"])
    assert [d.code for d in caught.value.diagnostics] == ["E0804", "E0804"]
    assert caught.value.status == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ({"device": "tpu"}, "E0001", "auto, cpu, cuda, cuda:1, tensorrt"),
        ({"precision": "int8"}, "E0001", "fp32, fp16, bf16"),
        ({"top": 0}, "E0002", "1 to 1,000"),
        ({"seed": -1}, "E0002", "0 to"),
        ({"images": []}, "E0804", "no image to predict"),
        ({"output": "edges.txt"}, "E0001", ".png, .jpg"),
        ({"images": [CAT, CAT], "output": "edges.png"}, "E0003", "folder"),
        ({"output": "edges.png"}, "E0806", "`output` is for images, and `lenet5` outputs none"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.predict("lenet5", **{"images": CAT, **arguments})
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, caught.value.status) == (code, 2)
    assert says in diagnostic.message


@pytest.mark.parametrize(
    "arguments", [{"weights": "w.pth"}, {"precision": "fp16"}, {"args": {"n": 1}}, {"input": "3x8x8"}, {"seed": 1}]
)
def test_a_compiled_model_stays_as_it_is(arguments: dict[str, Any]) -> None:
    found = refusal(lambda: archdsl.predict("m.onnx", CAT, **arguments))
    assert (found.code, f"`{next(iter(arguments))}` applies to a spec" in found.message) == ("E0003", True)


def test_a_loaded_network_stays_as_it_is() -> None:
    network = archdsl.load("lenet5")
    assert refusal(lambda: archdsl.predict(network, CAT, input="1x32x32")).code == "E0003"
