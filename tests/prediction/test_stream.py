"""Many images: what is found, in which order rows come, what broken files become, tables, shards, resumed runs.

Tests `prediction/inputs.py`, `prediction/stream.py`, `prediction/opening.py`, `prediction/tables.py`,
`prediction/parts.py` and `prediction/destination.py`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import archdsl
from archdsl.cli import main
from archdsl.cli.console import _Bar
from archdsl.diagnostics import ArchError
from archdsl.prediction.inputs import find_files
from archdsl.prediction.names import output_names
from archdsl.prediction.predictor import open_predictor
from archdsl.prediction.result import Missed, Prediction
from archdsl.prediction.stream import in_order
from tests.support.places import CAT, ROOT

SPEC = "name: net\ninput: 3x8x8\nlabels: [cat, dog, cow]\nnet: {conv: 3x3 conv 4 relu, pool: gap, fc: fc 3}"
FREE = "name: free\ninput: 3x16x16\nnet: [3x3 conv 3]"
"""From image to image, of any size."""
COUNT = 30


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    archdsl.loads(SPEC).to_onnx(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of COUNT images with a subfolder."""
    root = tmp_path_factory.mktemp("images")
    (root / "sub").mkdir()
    draw = np.random.default_rng(0)
    for number in range(COUNT):
        image = Image.fromarray(draw.integers(0, 256, (12, 16, 3), np.uint8))
        image.save(root / ("sub" if number % 3 == 0 else ".") / f"{number:02}.png")
    return root


def run(*args: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(ArchError) as caught:
        act()
    return caught.value.diagnostics[0].code


def names(entries: Sequence[Any]) -> list[str]:
    return [getattr(entry, "image", None) or getattr(entry, "name", "") for entry in entries]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "workers"), [(None, None), (1, 1), (1, 3), (7, 2), (8, 4)])
def test_rows_are_those_of_single_runs_in_the_order_of_the_names(
    model: Path, folder: Path, batch: int | None, workers: int | None
) -> None:
    paths = sorted(folder.rglob("*.png"), key=lambda path: os.fsencode(path))
    single = open_predictor(model)
    with archdsl.predict_stream(model, folder, batch=batch, workers=workers) as stream:
        rows = list(stream)
        assert (stream.total, stream.status, stream.counts["images"]) == (COUNT, 0, COUNT)
    assert [row.image for row in rows] == [str(path) for path in paths]
    for row, path in zip(rows, paths, strict=True):
        alone = single.run(path)
        assert isinstance(row, Prediction)
        assert [c.index for c in row.classes] == [c.index for c in alone.classes]
        assert [c.value for c in row.classes] == pytest.approx([c.value for c in alone.classes], rel=1e-5)


def test_the_number_of_workers_changes_no_bit(model: Path, folder: Path) -> None:
    texts = {run("predict", model, folder, "--format", "jsonl", "--workers", n, "--batch", 4).stdout for n in (1, 2, 5)}
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) == COUNT


def test_a_bounded_number_of_tasks_is_under_way() -> None:
    lock, alive, most = threading.Lock(), 0, 0
    taken = 0

    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return number

    def tasks() -> Any:
        nonlocal alive, most, taken
        for number in range(100):
            with lock:
                alive = number - taken
                most = max(most, alive)
            yield number

    for expected, result in enumerate(in_order(work, tasks(), 3)):
        assert result == expected
        taken += 1
    assert most <= 6


def test_a_failing_batch_costs_its_own_samples_only(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.runtime.session import Session

    original = Session.run

    def breaks(self: Session, values: Any) -> Any:
        (x,) = values.values()
        if any(sample.mean() > 0.52 for sample in x):
            raise RuntimeError("no memory")
        return original(self, values)

    whole = {row.image: row for row in archdsl.predict_stream(model, folder)}
    monkeypatch.setattr(Session, "run", breaks)
    rows = list(archdsl.predict_stream(model, folder))
    failed = [row for row in rows if isinstance(row, Missed)]
    assert 0 < len(failed) < COUNT
    assert {row.problems[0].code for row in failed} == {"E0805"}
    assert all(row == whole[row.image] or row in failed or _near(row, whole[row.image]) for row in rows)


def _near(a: Any, b: Any) -> bool:
    return [c.value for c in a.classes] == pytest.approx([c.value for c in b.classes], rel=1e-5)


def test_samples_of_other_sizes_run_apart(tmp_path: Path) -> None:
    path = tmp_path / "free.onnx"
    archdsl.loads(FREE).to_onnx(path, free_sizes=True)
    for number, size in enumerate([(9, 9), (9, 9), (12, 9), (9, 9)] * 5):
        Image.new("RGB", size, (number, 0, 0)).save(tmp_path / f"{number:02}.png")
    rows = list(archdsl.predict_stream(path, tmp_path / "*.png", batch=3, workers=2))
    single = open_predictor(path)
    assert len(rows) == 20
    for row in rows:
        assert isinstance(row, Prediction)
        assert row.picture is not None
        np.testing.assert_allclose(row.picture, single.run(row.image).picture, rtol=1e-5, atol=1e-6)
    assert {row.picture.shape for row in rows} == {(3, 9, 9), (3, 9, 12)}


def test_each_sample_passes_the_hook(model: Path, folder: Path) -> None:
    seen = Counter[tuple[tuple[int, ...], tuple[int, ...]]]()
    lock = threading.Lock()

    def each(values: Any, outputs: Any, row: Prediction) -> Prediction:
        with lock:
            seen[values.shape, next(iter(outputs.values())).shape] += 1
        return row

    assert len(list(archdsl.predict_stream(model, folder, each=each))) == COUNT
    assert seen == {((1, 3, 8, 8), (1, 3)): COUNT}


# --- what is found ---------------------------------------------------------------------------------------


def test_what_a_clinic_has_in_a_folder(model: Path, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    good = CAT.read_bytes()
    (root / "a.jpg").write_bytes(good)
    (root / "cut.jpg").write_bytes(good[:5000])
    (root / "empty.png").touch()
    for name in (".DS_Store", "Thumbs.db", "film.mp4", "notes.txt", "._a.jpg"):
        (root / name).write_bytes(b"\0\1\2")
    (root / "no_suffix").write_bytes(good)
    (root / "out.jpg").symlink_to(CAT)
    (root / "in.jpg").symlink_to(root / "a.jpg")
    (root / "loop").symlink_to(root)
    (root / "nothing.jpg").symlink_to(root / "gone")
    os.mkfifo(root / "pipe.png")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.jpg")).write_bytes(good)
    result = run("predict", model, root, "--format", "jsonl")
    assert result.exit_code == 1
    rows = {Path(row["image"]).name: row for row in lines(result.stdout)}
    assert {name for name, row in rows.items() if row["status"] == "ok"} == {
        *("a.jpg", "no_suffix", "in.jpg", r"caf\xe9.jpg")
    }
    assert {name: row["code"] for name, row in rows.items() if row["status"] == "error"} == {
        "cut.jpg": "E0804",
        "empty.png": "E0804",
    }
    skipped = {name: row["message"] for name, row in rows.items() if row["status"] == "skipped"}
    assert skipped.pop("out.jpg") == "a link out of the folder"
    assert skipped.pop("loop") == "a link to a folder"
    assert skipped.pop("nothing.jpg") == "a link to nothing"
    assert skipped.pop("pipe.png") == "not a regular file"
    assert set(skipped) == {".DS_Store", "Thumbs.db", "film.mp4", "notes.txt", "._a.jpg"}
    assert len(rows) == len(list(root.iterdir()))
    assert "15 images, 2 failed, 9 skipped" in result.stderr
    text = run("predict", model, root)
    assert (text.exit_code, r"caf\xe9.jpg" in text.stdout, text.stderr.count("error[E0804]")) == (1, True, 2)
    assert f"skipped {root / 'film.mp4'}: a video" in text.stderr


def test_files_lists_globs_and_names_of_globs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert len(find_files([folder])) == COUNT
    assert [path.name for path in find_files(["0*.png"], full=False)] == [f"0{n}.png" for n in (1, 2, 4, 5, 7, 8)]
    assert len(find_files(["**/*.png"])) == COUNT
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"\xef\xbb\xbf01.png\r\n\r\nsub\nmissing*.png\n")
    found = find_files([f"@{listed}"], full=False)
    assert [str(path) for path in found] == ["01.png", *(f"sub/{n:02}.png" for n in range(0, COUNT, 3)), "missing*.png"]
    listed.write_bytes(b"01.png\0sub/00.png\0")
    assert [str(path) for path in find_files([f"@{listed}"])] == [
        str(folder / "01.png"),
        str(folder / "sub" / "00.png"),
    ]
    listed.write_text("memory://a/x.png\n")
    (url,) = find_files([f"@{listed}"])
    assert isinstance(url, Missed)
    assert "a list cannot name a URL" in url.problems[0].message
    odd = tmp_path / "a[1].png"
    odd.touch()
    assert find_files([odd]) == [odd], "an existing name is no pattern"
    for given in (tmp_path / "*.gif", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        (nothing,) = find_files([given])
        assert isinstance(nothing, Missed)
        assert (nothing.problems[0].code, nothing.status) == ("E0830", 2)
    for wrong in ("@missing.txt", "@/dev/zero"):
        assert refused(lambda wrong=wrong: find_files([wrong])) == "E0830"


def test_names_from_standard_input(model: Path, folder: Path) -> None:
    stdin = b"\n".join(os.fsencode(folder / name) for name in ("02.png", "01.png", "none.png"))
    result = run("predict", model, "-", "--format", "csv", stdin=stdin)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [Path(row["image"]).name for row in rows] == ["02.png", "01.png", "none.png"]
    assert [row["code"] for row in rows] == ["", "", "E0804"]
    assert result.exit_code == 2, "a name that does not exist is a wrong argument"


def test_objects_of_a_store(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for name in ("a/x.png", "a/b/y.png", "a/broken.png", "a/notes.txt"):
        store.pipe(f"/{name}", (folder / "01.png").read_bytes() if name[-5] in "xy" else b"no image")
    rows = list(archdsl.predict_stream(model, ["memory://a", "memory://a/*.png", "memory://none", "nope://x"]))
    assert [row.image for row in rows[:4]] == [
        f"memory:///a/{n}" for n in ("b/y.png", "broken.png", "notes.txt", "x.png")
    ]
    assert [isinstance(row, Prediction) for row in rows[:4]] == [True, False, False, True]
    assert isinstance(rows[2], Missed)
    assert rows[2].skipped == "a text"
    assert [row.image for row in rows[4:6]] == ["memory:///a/broken.png", "memory:///a/x.png"]
    assert all(isinstance(row, Missed) and row.problems for row in rows[6:])
    alone = open_predictor(model).run(folder / "01.png")
    assert _near(rows[3], alone)
    monkeypatch.setenv("ARCHDSL_OFFLINE", "1")
    assert refused(lambda: archdsl.predict_stream(model, "s3://bucket/x.png")) == "E0830"


@pytest.mark.slow
def test_a_hundred_thousand_entries(model: Path, tmp_path: Path) -> None:
    for number in range(100_000):
        (tmp_path / f"{number:06}.txt").touch()
    (tmp_path / "x.jpg").write_bytes(CAT.read_bytes())
    with archdsl.predict_stream(model, tmp_path) as stream:
        assert sum(isinstance(row, Missed) for row in stream) == 100_000
        assert stream.status == 0


# --- tables ----------------------------------------------------------------------------------------------


def test_the_formats_have_the_same_rows(model: Path, folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    for suffix in ("jsonl", "csv", "parquet"):
        result = run("predict", model, folder, broken, "-o", tmp_path / f"out.{suffix}", "--top", 2)
        assert (result.exit_code, result.stdout) == (1, ""), result.stderr
    rows = lines((tmp_path / "out.jsonl").read_text())
    table = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    with (tmp_path / "out.csv").open() as file:
        cells = list(csv.DictReader(file))
    assert len(rows) == len(table) == len(cells) == COUNT + 1
    for row, line, cell in zip(rows, table, cells, strict=True):
        assert (row["image"], row["status"], row["top"]) == (line["image"], line["status"], line["top"])
        assert (row["image"], row["code"] or "") == (cell["image"], cell["code"])
        best = row["top"][0] if row["top"] else {"index": "", "label": "", "value": ""}
        assert (str(best["index"]), best["label"]) == (cell["class_1"], cell["label_1"])
        assert not row["top"] or float(cell["value_1"]) == best["value"]
    document = json.loads(run("predict", model, folder, broken, "--format", "json").stdout)
    assert [row["image"] for row in document["images"]] == [row["image"] for row in rows[:-1]]
    assert [row["code"] for row in document["failures"]] == ["E0804"]


def test_labels_of_a_model_are_no_formulas_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    archdsl.loads(SPEC.replace("[cat, dog, cow]", "['=1+2', '@x', '-y']")).to_onnx(path)
    (row,) = csv.DictReader(io.StringIO(run("predict", path, CAT, "--format", "csv", "--top", 3).stdout))
    assert {row[f"label_{rank}"] for rank in (1, 2, 3)} == {"'=1+2", "'@x", "'-y"}


def test_requested_outputs(model: Path, folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (name,) = open_predictor(model).model.session.outputs
    broken = tmp_path / "0.png"
    broken.write_bytes(b"no image")
    inputs = [broken, folder]
    archdsl.predict_stream(model, inputs, outputs=[name]).write(tmp_path / "out.jsonl")
    archdsl.predict_stream(model, inputs, outputs=["all"]).write(tmp_path / "out.parquet")
    archdsl.predict_stream(model, inputs, outputs=[name], chunk=16).write(tmp_path / "parts")
    archdsl.predict_stream(model, inputs, outputs=[name], chunk=16).write(tmp_path / "folder", "parquet")
    array = np.load(tmp_path / f"out.{name}.npy")
    assert array.shape == (COUNT + 1, 3)
    assert np.isnan(array[0]).all()
    assert not np.isnan(array[1:]).any()
    table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert table[f"output {name}"][0] is None
    assert np.array_equal(np.array(table[f"output {name}"][1:], np.float32), array[1:])
    assert table[f"shape {name}"][1] == [3]
    assert parquet.read_table(tmp_path / "folder").to_pydict()["image"] == table["image"], "pyarrow reads the folder"
    parts = [np.load(path) for path in sorted((tmp_path / "parts").glob("*.npy"))]
    assert [len(part) for part in parts] == [16, COUNT + 1 - 16]
    np.testing.assert_allclose(np.concatenate(parts), array, rtol=1e-6)
    assert refused(lambda: archdsl.predict_stream(model, inputs, outputs=["x"])) == "E0001"


def test_outputs_of_several_shapes_need_parquet(tmp_path: Path) -> None:
    model = tmp_path / "free.onnx"
    archdsl.loads(FREE).to_onnx(model, free_sizes=True)
    for number, size in enumerate([(9, 9), (12, 9)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    stream = archdsl.predict_stream(model, tmp_path / "*.png", outputs=["all"])
    assert refused(lambda: stream.write(tmp_path / "out.jsonl")) == "E0834"
    assert not list(tmp_path.glob("out*"))
    archdsl.predict_stream(model, tmp_path / "*.png", outputs=["all"]).write(tmp_path / "out.parquet")


# --- shards and resumed runs -----------------------------------------------------------------------------


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("part-*.jsonl")) for row in lines(path.read_text())]


def test_shards_are_the_whole(model: Path, folder: Path, tmp_path: Path) -> None:
    whole = lines(run("predict", model, folder, "--format", "jsonl").stdout)
    for number in (2, 1, 3):
        result = run("predict", model, folder, "-o", tmp_path / "out", "--shard", f"{number}/3", "--chunk", 4)
        assert result.exit_code == 0, result.stderr
    assert rows_of(tmp_path / "out") == whole
    assert "for 3 shards" not in result.stderr
    few = run("predict", model, folder, "-o", tmp_path / "few", "--shard", "3/3")
    assert "0 images; 1 chunk of 512 images for 3 shards: lower --chunk" in few.stderr
    again = run("predict", model, folder, "-o", tmp_path / "out", "--shard", "1/3", "--chunk", 4)
    assert (again.exit_code, "E0832" in again.stderr) == (2, True)
    for wrong in ("0/3", "4/3", "1", "1/0", "a/b"):
        assert refused(lambda wrong=wrong: archdsl.predict_stream(model, folder, shard=wrong)) == "E0002"


def test_a_run_is_resumed_by_the_same_run_only(model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    archdsl.predict_stream(model, folder, chunk=8).write(out)
    (out / "part-000001.jsonl").unlink()
    kept = (out / "part-000000.jsonl").stat().st_mtime_ns
    archdsl.predict_stream(model, folder, chunk=8).write(out, resume=True)
    assert (out / "part-000000.jsonl").stat().st_mtime_ns == kept
    assert len(rows_of(out)) == COUNT
    other = tmp_path / "other.onnx"
    archdsl.loads(SPEC).to_onnx(other, seed=1)
    for changed in (
        lambda: archdsl.predict_stream(other, folder, chunk=8),
        lambda: archdsl.predict_stream(model, folder, chunk=9),
        lambda: archdsl.predict_stream(model, folder, chunk=8, top=1),
        lambda: archdsl.predict_stream(model, [folder, CAT], chunk=8),
    ):
        assert refused(lambda changed=changed: changed().write(out, resume=True)) == "E0831"
    assert refused(lambda: archdsl.predict_stream(model, folder, chunk=8).write(out, "csv", resume=True)) == "E0831"
    (out / "_manifest.json").write_text("{")
    assert refused(lambda: archdsl.predict_stream(model, folder, chunk=8).write(out, resume=True)) == "E0831"


def killed_until_done(command: list[str], out: Path, kills: int, seed: int) -> int:
    """Kills a run at random moments after its start, then lets it end; the number of runs that were killed alive."""
    draw, alive = random.Random(seed), 0
    for _ in range(kills):
        before = len(list(out.glob("*")))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        end = time.monotonic() + 20
        while len(list(out.glob("*"))) == before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.02))
        alive += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, timeout=60)
    return alive


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_run_has_every_image_once(model: Path, folder: Path, tmp_path: Path, kills: int) -> None:
    paths = [str(path) for path in sorted(folder.rglob("*.png"), key=os.fsencode)] * (2 * kills)
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(paths))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "archdsl", "predict", str(model), f"@{listed}", "-o", str(out)]
    alive = killed_until_done([*command, "--resume", "--chunk", "3"], out, kills, seed=kills)
    assert alive > kills // 2, "most runs were killed before their end"
    assert [row["image"] for row in rows_of(out)] == paths
    assert {row["status"] for row in rows_of(out)} == {"ok"}
    assert not list(out.glob(".archdsl-*")), "no temporary file is left"


# --- arguments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--resume"], "E0003"),
        (["--format", "parquet"], "E0003"),
        (["--outputs", "all"], "E0003"),
        (["--outputs", "all", "--format", "jsonl"], "E0003"),
        (["--resume", "-o", "x.jsonl"], "E0003"),
        (["--format", "csv", "-o", "x.jsonl"], "E0003"),
        (["--format", "xml"], "E0001"),
        (["-o", "results"], "E0806"),
        (["-o", "x.txt"], "E0001"),
        ([str(ROOT / "tests" / "support"), "-o", "x.png"], "E0003"),
        (["--batch", "0"], "E0002"),
        (["--shard", "5/4"], "E0002"),
        (["--engine", "ray", "--ray", "num_gpu=1"], "E0001"),
        (["--engine", "ray", "--ray", "num_gpus=many"], "E0002"),
        (["--ray", "num_cpus=0", "--chunk", "3"], "E0002"),
        (["-o", "no/such/x.jsonl"], "E0701"),
    ],
)
def test_wrong_arguments(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("predict", model, CAT, *arguments)
    assert (result.exit_code, f"error[{code}]" in result.stderr) == (2, True), result.stderr
    assert not list(tmp_path.iterdir())


def test_a_table_has_the_format_of_its_name(model: Path, tmp_path: Path) -> None:
    with archdsl.predict_stream(model, CAT) as stream, pytest.raises(ArchError) as caught:
        stream.write(tmp_path / "x.jsonl", "csv")
    assert caught.value.diagnostics[0].code == "E0003" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("writes", [1, 2])
def test_other_weights_beside_the_model_are_another_run(writes: int, tmp_path: Path) -> None:
    """Files of archdsl have one of two names for their weights, by turns."""
    model, net = tmp_path / "net.onnx", archdsl.loads(SPEC.replace("conv 4", "conv 64"))
    for _ in range(writes):
        net.to_onnx(model, external_data=True)
    (data,) = tmp_path.glob("net.onnx*.data")
    archdsl.predict_stream(model, CAT).write(tmp_path / "rows")
    values = bytearray(data.read_bytes())
    values[-5000:] = bytes(5000)
    data.write_bytes(values)
    with pytest.raises(ArchError) as caught:
        archdsl.predict_stream(model, CAT).write(tmp_path / "rows", resume=True)
    assert caught.value.diagnostics[0].code == "E0831" and "model" in caught.value.diagnostics[0].message


def test_a_table_does_not_replace_a_file(model: Path, tmp_path: Path) -> None:
    table = tmp_path / "out.jsonl"
    table.write_text("mine")
    assert "E0703" in run("predict", model, CAT, "-o", table).stderr
    assert table.read_text() == "mine"
    assert run("predict", model, CAT, "-o", table, "--force").exit_code == 0
    assert lines(table.read_text())[0]["image"] == str(CAT)


def test_a_file_with_a_fixed_batch(tmp_path: Path, folder: Path) -> None:
    import onnx

    archdsl.loads(SPEC).to_onnx(tmp_path / "free.onnx")
    model = onnx.load(tmp_path / "free.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "one.onnx")
    assert len(list(archdsl.predict_stream(tmp_path / "one.onnx", folder))) == COUNT
    assert refused(lambda: archdsl.predict_stream(tmp_path / "one.onnx", folder, batch=2)) == "E0003"


def test_a_folder_of_pictures_is_created(tmp_path: Path) -> None:
    result = run("predict", "edge_filter", CAT, "-o", tmp_path / "new" / "pictures")
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in (tmp_path / "new" / "pictures").iterdir()] == ["cat.edge_filter.png"]
    result = run("predict", "lenet5", CAT, "-o", tmp_path / "none")
    assert result.exit_code == 2 and "for tables of the rows set `format` to jsonl" in result.stderr
    assert not (tmp_path / "none").exists(), "no picture, no folder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chunk", 5], "E0003"),
        (["--chunk", 5, "-o", "rows.jsonl"], "E0003"),
        (["--chunk", 5, "--format", "jsonl"], "E0003"),
        (["--chunk", 5, "-o", "folder"], "help: name a folder with `-o`, and add `--format jsonl`"),
        (["-o", "x.foo"], "choose one of: .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff, .jsonl, .csv, .parquet"),
    ],
)
def test_an_output_that_does_not_fit_the_options(options: list[object], message: str) -> None:
    result = run("predict", "lenet5", CAT, *options)
    assert result.exit_code == 2 and message in result.stderr


def test_pictures_of_one_name_are_in_subfolders_in_all_shards(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.open(CAT).resize((20, 20 if name == "a" else 10)).save(tmp_path / name / "x.png")
    images = [tmp_path / "a", tmp_path / "b"]
    for shard in ("2/2", "1/2"):
        (row,) = archdsl.predict_stream("edge_filter", images, chunk=1, shard=shard, output=tmp_path / "out")
        assert isinstance(row, Prediction)
    for name, height in (("a", 20), ("b", 10)):
        with Image.open(tmp_path / "out" / name / "x.edge_filter.png") as picture:
            assert picture.size == (20, height)


def test_names_of_pictures() -> None:
    def names(*samples: str) -> list[str]:
        return [path.as_posix() for path in output_names(samples).values()]

    assert names("/a/x.dcm#12", "/b/y.nii.gz", "/c/1.2.840") == ["x-12", "y", "1.2.840"]
    assert names("/a/c/x.png", "/a/d/x.png", "/a/d/y.png") == ["c/x", "d/x", "d/y"]
    assert names("x.png", "x.jpg", "X.png", "x.png#1", "x-1.png") == ["x", "x.jpg", "X.png", "x-1", "x-1.png"]
    assert names("../x.png", "x.png") == ["x", f"{Path.cwd().name}/x"], "never out of the folder"


def test_a_table_has_no_columns_of_classes_that_do_not_exist(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text("input: 3x8x8\nnet: [gap, fc 3]\n")
    header = run("predict", spec, CAT, "--format", "csv").stdout.partition("\n")[0]
    assert "class_3" in header and "class_4" not in header


def test_values_that_are_not_finite_are_null(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    net = archdsl.loads(SPEC)
    save_file({key: np.full_like(value, np.nan) for key, value in net.weights().items()}, tmp_path / "nan.safetensors")
    net.to_onnx(tmp_path / "nan.onnx", tmp_path / "nan.safetensors")
    result = run("predict", tmp_path / "nan.onnx", CAT, "--format", "jsonl")
    assert "NaN" not in result.stdout.replace("or NaN", "")
    (row,) = lines(result.stdout)
    assert [best["value"] for best in row["top"]] == [None] * 3
    assert "infinities or NaN" in row["notes"][0]


def test_pictures_beside_a_table(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    result = run("predict", "edge_filter", CAT, "-o", tmp_path / "out.jsonl", "--pictures", tmp_path / "pictures")
    assert result.exit_code == 0, result.stderr
    (row,) = lines((tmp_path / "out.jsonl").read_text())
    assert row["picture"]["path"] == str(tmp_path / "pictures" / "cat.edge_filter.png")
    assert Path(row["picture"]["path"]).exists()


def test_progress_has_the_rate_and_the_time_left() -> None:
    stream = io.StringIO()
    bar = _Bar("predicting", stream)
    bar(1000, 5000)
    bar.started = bar.drawn = time.monotonic() - 10
    bar(3000, 5000)
    assert "60 %  200/s, 0:10 left" in stream.getvalue(), "what was finished before does not count"
    bar(5000, 5000)
    assert stream.getvalue().endswith("\r\x1b[K")
