"""Maps of many images: `archdsl.attribute_stream` and `archdsl predict --explain`.

Tests `attribution/files.py`, `attribution/explainer.py` and `cli/attribution.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import archdsl
from archdsl.attribution.explainer import METHODS
from archdsl.attribution.files import MapWriter
from archdsl.attribution.result import as_cells, is_coarse
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.prediction.result import Missed, Prediction
from tests.attribution.test_attribute import BRIGHT, WEIGHTS, bright, picture


def run(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate("abc"):
        Image.fromarray(np.roll(picture(), number, 0)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A compiled file without the maps."""
    path = tmp_path / "bright.onnx"
    bright().to_onnx(path, WEIGHTS)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_each_image_has_the_map_of_attribute(method: Any, images: Path, tmp_path: Path) -> None:
    layer = {"layer": "a"} if method == "gradcam" else {}
    folder = tmp_path / "deep" / "heat"
    with archdsl.attribute_stream(
        bright(), images, folder, method, "dark", weights=WEIGHTS, batch=2, workers=2, **layer
    ) as stream:
        rows = list(stream)
    assert [Path(row.image).name for row in rows] == ["a.png", "b.png", "broken.png", "c.png"]
    assert [type(row) for row in rows] == [Prediction, Prediction, Missed, Prediction] and stream.status == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{name}.{method}.{kind}" for name in "abc" for kind in ("png", "npz")
    )
    for row in rows:
        if isinstance(row, Prediction):
            single = archdsl.attribute(bright(), row.image, method, "dark", weights=WEIGHTS, **layer)
            assert row.file is not None and row.file.path == folder / f"{Path(row.image).stem}.{method}.png"
            assert single.text().replace("\n", ": ") == row.file.pixels
            with np.load(row.file.path.with_suffix(".npz")) as arrays:
                assert np.abs(arrays["map"] - single.map).max() < 1e-6
                assert np.abs(arrays["grid"] - single.grid).max() < 1e-6
            assert np.array_equal(np.asarray(Image.open(row.file.path)), np.asarray(single.overlay()))


def test_files_are_equal_and_replaced_only_if_archdsl_wrote_them(images: Path, model: Path, tmp_path: Path) -> None:
    def maps() -> list[archdsl.Diagnostic]:
        with archdsl.attribute_stream(model, images / "a.png", tmp_path / "heat") as stream:
            return [problem for row in stream if isinstance(row, Missed) for problem in row.problems]

    assert not maps()
    npz, png = tmp_path / "heat" / "a.cam.npz", tmp_path / "heat" / "a.cam.png"
    first = npz.read_bytes(), png.read_bytes()
    assert not maps() and (npz.read_bytes(), png.read_bytes()) == first
    png.write_bytes(b"my own")
    assert [problem.code for problem in maps()] == ["E0703"] and png.read_bytes() == b"my own"


def test_images_of_one_name_have_maps_in_their_subfolders(images: Path, model: Path, tmp_path: Path) -> None:
    """Each of two shards knows the names of the other. `A` and `a` are one name on Windows and macOS."""
    for name in ("x/a.png", "b/a.png", "b/a.jpg", "b/A.bmp"):
        path = tmp_path / "lungs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture()).save(path)
    rows: list[Any] = []
    for shard in ("1/2", "2/2"):
        with archdsl.attribute_stream(model, tmp_path / "lungs", tmp_path / "heat", chunk=1, shard=shard) as stream:
            rows += stream
    assert all(isinstance(row, Prediction) for row in rows)
    files = sorted(row.file.path.relative_to(tmp_path / "heat").as_posix() for row in rows)
    assert files == ["b/A.cam.png", "b/a.jpg.cam.png", "b/a.png.cam.png", "x/a.cam.png"]
    assert all((tmp_path / "heat" / file).with_suffix(".npz").is_file() for file in files)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("--explain", "lime"), "E0001"),
        (("--explain", "cam", "--layer", "a"), "E0003"),
        (("--explain", "gradcam", "--layer", "b"), "E0881"),
        (("--explain", "occlusion", "--window", "4", "--stride", "5"), "E0002"),
        (("--explain", "cam", "-o", "a.png"), "E0003"),
        (("--explain", "cam", "-o", "rows.jsonl"), "E0003"),
        (("--explain", "cam", "--target", "grey"), "E0883"),
        (("--target", "1"), "E0003"),
        (("--window", "3"), "E0003"),
    ],
)
def test_wrong_usage(args: tuple[str, ...], code: str, images: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "bright.yaml"
    spec.write_text(BRIGHT)
    result = run("predict", spec, images / "a.png", *args)
    assert result.exit_code == 2 and f"error[{code}]" in result.stderr
    assert not list(tmp_path.glob("**/*.npz"))


def test_the_command_line(images: Path, model: Path, tmp_path: Path) -> None:
    heat = tmp_path / "heat"
    result = run(
        "predict", model, images / "a.png", "--explain", "occlusion", "--window", "4x3", "--stride", "2", "-o", heat
    )
    assert result.exit_code == 0, result.stderr
    assert f"wrote {heat / 'a.occlusion.png'}" in result.stdout
    assert "dark" in result.stdout and "window 4 x 3, stride 2 x 2, baseline 0" in result.stdout
    table = tmp_path / "rows.jsonl"
    result = run("predict", model, images / "a.png", "--explain", "cam", "--pictures", heat, "-o", table)
    assert result.exit_code == 0, result.stderr
    row = json.loads(table.read_text())
    assert row["picture"]["path"] == str(heat / "a.cam.png") and "cam of a" in row["picture"]["pixels"]
    assert "is not a size" in run("predict", model, images / "a.png", "--explain", "occlusion", "--window", "a").stderr


def test_no_other_machine_computes_maps(images: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.attribute_stream(model, images, tmp_path, engine=object())
    assert caught.value.diagnostics[0].code == "E0003"


def test_a_folder_that_cannot_be_made(images: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchError) as caught:
        archdsl.attribute_stream(model, images, tmp_path / "file" / "heat")
    assert caught.value.diagnostics[0].code == "E0701"


@pytest.mark.parametrize(
    ("size", "window", "grid"),
    [("2x60", "5 conv 4", (30,)), ("2x10x12x14", "3x3x3 conv 4", (5, 6, 7))],
)
def test_signals_and_volumes(size: str, window: str, grid: tuple[int, ...], tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(f"name: net\ninput: {size}\nnet: {{a: {window} relu, b: {window} /2, pool: gap, fc: fc 3}}\n")
    net = archdsl.load(spec)
    x = np.random.default_rng(0).standard_normal(net.input, np.float32)
    np.save(tmp_path / "x.npy", x)
    for method in METHODS:
        result = run("predict", spec, tmp_path / "x.npy", "--explain", method, "-o", tmp_path / "heat")
        assert result.exit_code == 0, result.output
        found = archdsl.attribute(net, x, method)
        assert archdsl.attribute(net, tmp_path / "x.npy", method).text() == found.text()
        with np.load(tmp_path / "heat" / f"x.{method}.npz") as arrays:
            assert arrays["map"].shape == x.shape[1:] and np.abs(arrays["map"] - found.map).max() < 1e-6
            assert arrays["grid"].shape == (x.shape[1:] if method == "occlusion" else grid)


@pytest.mark.parametrize("method", METHODS)
def test_a_file_with_its_preprocessing_is_explained_without_it(method: Any, tmp_path: Path) -> None:
    """The oracle is the same network without the preprocessing inside."""
    net = archdsl.loads("input: 3x8x8\nnet: [3x3 conv 4, gap, fc 2]\npreprocess: {resize: 8, crop: 8}")
    Image.fromarray(np.roll(picture(), 3, 0)).resize((8, 8)).convert("RGB").save(tmp_path / "a.png")
    net.to_onnx(tmp_path / "raw.onnx", cam=True, embed_preprocess=True)
    found = archdsl.attribute(tmp_path / "raw.onnx", tmp_path / "a.png", method)
    expected = archdsl.attribute(net, tmp_path / "a.png", method)
    assert found.map.shape == (8, 8) and np.abs(found.map - expected.map).max() < 1e-5
    with archdsl.attribute_stream(tmp_path / "raw.onnx", tmp_path / "a.png", tmp_path / "heat", method) as stream:
        (row,) = stream
    assert isinstance(row, Prediction) and row.file is not None
    with np.load(row.file.path.with_suffix(".npz")) as arrays:
        assert np.abs(arrays["map"] - expected.map).max() < 1e-5


def test_a_map_of_few_cells_is_drawn_as_cells_with_a_note(tmp_path: Path) -> None:
    net = archdsl.loads("input: 3x64x64\nnet: [3x3 conv 4 /32, gap, fc 2]")
    found = archdsl.attribute(net, np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3))
    (note,) = [note for note in found.notes if note.code == "N0886"]
    assert "2 x 2 cells" in note.message and "larger input" in (note.help or "") and "2 x 2" in found.text()
    cells = as_cells(found.grid, (64, 64))
    assert np.array_equal(cells, found.grid.repeat(32, 0).repeat(32, 1))
    assert is_coarse(found.grid, (64, 64)) and not is_coarse(np.zeros((2, 2)), (2, 2))
    smooth = replace(found, grid=found.map).overlay()
    assert not np.array_equal(np.asarray(found.overlay())[60:], np.asarray(smooth)[60:])


def test_notes_on_the_image_are_kept(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((16, 12, 4), np.uint8)).save(tmp_path / "clear.png")
    found = archdsl.attribute(bright(), tmp_path / "clear.png", weights=WEIGHTS)
    assert "N0804" in [note.code for note in found.notes]


@pytest.mark.parametrize(
    ("name", "frame", "stem"),
    [
        ("/a/scan.nii.gz", None, "scan"),
        ("/a/photo.v2.png", None, "photo.v2"),
        ("/a/1.2.840.10", None, "1.2.840.10"),
        ("/a/slices.tif#3", 3, "slices-3"),
        ("s3://bucket/a.png", None, "a"),
        ("/a/.png", None, ".png"),
    ],
)
def test_names_of_maps(name: str, frame: int | None, stem: str, tmp_path: Path) -> None:
    found = archdsl.attribute(bright(), picture(), weights=WEIGHTS)
    row = Prediction(name, None, (), None, None, (), 0.0, (), frame)
    writer = MapWriter(tmp_path, None, False, ())
    writer.reserve([name])
    path = writer._write(found, row)
    assert path == tmp_path / f"{stem}.cam.png" and path.is_file()
