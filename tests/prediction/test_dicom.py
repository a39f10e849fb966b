"""DICOM images against pydicom's own functions, and files as folders of hospitals hold them.

Tests `runtime/images/dicom.py`, `runtime/images/tables.py`, `runtime/images/codestream.py` and
`runtime/images/opened.py`.
"""

from __future__ import annotations

import threading
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from archdsl.diagnostics import ArchError
from archdsl.runtime.images import Skipped, Source, Wanted, as_source, read, scan
from archdsl.runtime.images.codestream import stated_size
from archdsl.runtime.images.quiet import quiet
from archdsl.runtime.preprocess import LegalSizes, Prepared, prepare
from archdsl.runtime.recipe import Recipe, window_span
from tests.support import clinic

pydicom = pytest.importorskip("pydicom")

FREE = (LegalSizes(), LegalSizes())
STORED = np.random.default_rng(0).integers(0, 4096, (12, 10)).astype(np.uint16)
SIGNED = np.random.default_rng(1).integers(-2048, 2048, (12, 10)).astype(np.int16)
CT: dict[str, Any] = {"BitsStored": 12, "HighBit": 11, "RescaleSlope": 1.5, "RescaleIntercept": -1024}


def prepared(source: Path | Source, **steps: Any) -> Prepared:
    return prepare(source, Recipe(**({"layout": "L"} | steps)), FREE)


def values(source: Path | Source, **steps: Any) -> npt.NDArray[np.float32]:
    return prepared(source, **steps).values[0, 0]


def pydicoms(path: Path) -> npt.NDArray[np.float64]:
    """What a viewer shows, from 0 to 1, computed by pydicom."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    data = pydicom.dcmread(path)
    shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data, prefer_lut=True).astype(np.float64)
    bits = data.BitsStored
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if data.PixelRepresentation else (0, 2**bits - 1)
    if "VOILUTSequence" in data:
        least, most = 0, 2 ** data.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif "ModalityLUTSequence" in data:
        least, most = 0, 2 ** data.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    else:
        least, most = (end * data.get("RescaleSlope", 1) + data.get("RescaleIntercept", 0) for end in (least, most))
    unit = (shown - least) / (most - least)
    return 1 - unit if data.PhotometricInterpretation == "MONOCHROME1" else unit


def lut(name: str, first: int, entries: npt.NDArray[np.uint16] | bytes, bits: int, count: int = 0) -> dict[str, Any]:
    """A table as numbers, or as bytes."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.LUTDescriptor = [count or len(entries), first, bits]
    item.LUTData = entries if isinstance(entries, bytes) else entries.tolist()
    item["LUTData"].VR = "OW" if isinstance(entries, bytes) else "US"
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    return {name: [item]}


WINDOWS: list[dict[str, Any]] = [
    {},
    {"WindowCenter": 40, "WindowWidth": 400},
    {"WindowCenter": [300, 40], "WindowWidth": [1500, 400], "VOILUTFunction": "LINEAR"},
    {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "LINEAR_EXACT"},
    {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 40.5, "WindowWidth": 1},
    {"PhotometricInterpretation": "MONOCHROME1"},
    {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 40, "WindowWidth": 400},
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("stored", [STORED, SIGNED], ids=["unsigned", "signed"])
def test_grey_values_are_pydicoms(stored: npt.NDArray[Any], window: dict[str, Any], tmp_path: Path) -> None:
    path = clinic.dicom(tmp_path / "a.dcm", stored, **CT, **window)
    np.testing.assert_allclose(values(path), pydicoms(path), atol=1e-6)


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (10, np.uint16), (16, np.uint16), (16, np.int16)])
def test_depths(bits: int, kind: Any, tmp_path: Path) -> None:
    stored = np.random.default_rng(bits).integers(0, 2**bits, (9, 7)).astype(kind)
    path = clinic.dicom(tmp_path / "a.dcm", stored, BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_allclose(values(path), pydicoms(path), atol=1e-6)


def test_tables_are_pydicoms(tmp_path: Path) -> None:
    curve = np.linspace(0, 1, 4096) ** 2
    depth = {"BitsStored": 12, "HighBit": 11}
    for table, bits in (("VOILUTSequence", 10), ("ModalityLUTSequence", 16)):
        entries = (curve * (2**bits - 1)).astype(np.uint16)
        path = clinic.dicom(tmp_path / f"{bits}.dcm", STORED, **depth, **lut(table, 0, entries, bits))
        np.testing.assert_allclose(values(path), pydicoms(path), atol=1e-6)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
def test_each_entry_of_a_table_is_found(name: str, bits: int, tmp_path: Path) -> None:
    """By hand: pydicom wraps the index of an 8-bit table around at 256."""
    entries = np.random.default_rng(bits).integers(0, 2**bits, 4096).astype(np.uint16)
    path = clinic.dicom(tmp_path / "a.dcm", STORED, BitsStored=12, HighBit=11, **lut(name, 0, entries, bits))
    np.testing.assert_allclose(values(path), entries[STORED] / (2**bits - 1), atol=1e-7)


@pytest.mark.parametrize("first", [100, -900])
def test_values_beyond_a_table_have_its_ends(first: int, tmp_path: Path) -> None:
    entries = np.arange(1000, dtype=np.uint16)
    for written in (first, first % 2**16):  # also -900 as an unsigned number
        table = lut("VOILUTSequence", written, entries, 10)
        path = clinic.dicom(tmp_path / "a.dcm", SIGNED, BitsStored=12, HighBit=11, **table)
        expected = [[entries[min(max(int(v) - first, 0), 999)] / 1023 for v in row] for row in SIGNED]
        np.testing.assert_allclose(values(path), expected, atol=1e-7)


@pytest.mark.parametrize("count", [256, 255])
def test_a_table_of_bytes(count: int, tmp_path: Path) -> None:
    """PS3.3 C.11.1.1.1: entries of 8 bits take a byte each; many files have them in words."""
    stored = np.random.default_rng(3).integers(0, count, (6, 7)).astype(np.uint8)
    entries = np.arange(count, dtype=np.uint8)[::-1]
    for data in (entries.tobytes() + b"\0" * (count % 2), entries.astype("<u2").tobytes()):
        path = clinic.dicom(tmp_path / "a.dcm", stored, **lut("VOILUTSequence", 0, data, 8, count))
        np.testing.assert_allclose(values(path), entries[stored] / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (lut("VOILUTSequence", 0, np.arange(9), 8, 256), "its VOI LUT does not have the 256 entries of 8 bits"),
        (lut("VOILUTSequence", 0, bytes(256), 12, 256), "its VOI LUT does not have the 256 entries of 12 bits"),
        (lut("ModalityLUTSequence", 0, np.arange(900), 8), "its Modality LUT has the entry 899"),
        (lut("ModalityLUTSequence", 0, np.arange(9), 32), "its Modality LUT does not have"),
    ],
)
def test_a_table_that_does_not_fit_its_descriptor(table: dict[str, Any], why: str, tmp_path: Path) -> None:
    assert why in refusal(clinic.dicom(tmp_path / "a.dcm", STORED, **table))


def test_the_recipe_replaces_the_window_of_the_file(tmp_path: Path) -> None:
    path = clinic.dicom(tmp_path / "a.dcm", STORED, **CT, WindowCenter=9000, WindowWidth=10)
    asked = clinic.dicom(tmp_path / "b.dcm", STORED, **CT, WindowCenter=-600, WindowWidth=1500)
    assert np.array_equal(values(path, intensity=window_span(-600, 1500)), values(asked))
    (warning,) = prepared(path).notes
    assert warning.code == "W0811" and "preprocess" in warning.help
    bad = clinic.dicom(tmp_path / "c.dcm", STORED, **CT, WindowCenter=0, WindowWidth=0)
    (note,) = prepared(bad).notes
    assert "not valid: its whole depth is used" in note.message


def test_sizes_are_torchvisions_on_floats(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    v2 = pytest.importorskip("torchvision.transforms.v2")
    path = clinic.dicom(tmp_path / "a.dcm", STORED, **CT)
    whole = torch.from_numpy(values(path))[None]
    theirs = v2.CenterCrop((5, 6))(v2.Resize(7, antialias=True)(whole))
    np.testing.assert_allclose(values(path, resize=7, crop=(5, 6)), theirs[0].numpy(), atol=1e-5)


def test_frames_and_colours(tmp_path: Path) -> None:
    cine = np.stack([STORED, STORED[::-1], STORED // 2])
    path = clinic.dicom(tmp_path / "cine", cine, **CT)
    found = [one for one in scan([path], 2) if isinstance(one, Source)]
    assert [one.name for one in found] == [f"{path}#{number}" for number in (1, 2, 3)]
    assert np.array_equal(values(found[1]), values(found[0])[::-1])
    with pytest.raises(ArchError, match="it has 3 frames"):
        prepared(path)
    with pytest.raises(ArchError, match="it has no frame 4"):
        prepared(Source("x", (path,), 4))
    pixels = np.random.default_rng(2).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    clinic.dicom(tmp_path / "colours.dcm", pixels)
    Image.fromarray(pixels).save(tmp_path / "colours.png")
    ours, png = (prepared(tmp_path / name, layout="RGB").values for name in ("colours.dcm", "colours.png"))
    assert np.array_equal(ours, png)


def test_files_of_pydicom() -> None:
    """Each file is read, is skipped, or has an error of its own; none has the name of a patient in it."""
    from pydicom.data import get_testdata_file

    folder = Path(str(get_testdata_file("CT_small.dcm"))).parent
    refused, skipped, shown = {}, {}, 0
    for one in scan(sorted(folder.glob("*.dcm")), 2):
        if isinstance(one, Skipped):
            skipped[one.path.name] = one.reason
            continue
        if one.frame is not None and one.frame > 1:
            continue
        try:
            found = read(one, Wanted(2))
        except ArchError as problem:
            assert [d.code for d in problem.diagnostics] == ["E0804"]
            refused[one.path.name] = problem.diagnostics[0].message
        else:
            shown += 1
            expected = pydicom.pixels.pixel_array(one.path, index=(one.frame or 1) - 1)
            size = found.values.size[::-1] if isinstance(found.values, Image.Image) else found.values.shape
            assert size == expected.shape[:2]
    assert shown >= 50, (shown, refused)
    lossless = () if find_spec("gdcm") else ("SC_rgb_jpeg_gdcm.dcm",)
    assert all("no decoder" in refused[name] for name in ("JPEG-lossy.dcm", *lossless))
    assert "Deflated" in refused["image_dfl.dcm"] and "header" in refused["no_meta.dcm"]
    assert "its compressed frame has" in refused["JPEG2000-embedded-sequence-delimiter.dcm"]
    assert "its header is Implicit VR" in refused["SC_rgb_jpeg.dcm"]
    assert skipped["rtplan.dcm"] == "a DICOM file without an image (RTPLAN)"
    assert "segmentation" in skipped["liver_1frame.dcm"]


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_compressed_frames_are_pydicoms(name: str) -> None:
    from pydicom.data import get_testdata_file
    from pydicom.pixels import apply_modality_lut, pixel_array

    path = Path(str(get_testdata_file(name)))
    expected = apply_modality_lut(pixel_array(path), pydicom.dcmread(path))
    assert np.array_equal(read(as_source(path), Wanted(2, displayed=False)).values, expected.astype(np.float32))


def refusal(path: Path) -> str:
    with pytest.raises(ArchError) as caught:
        prepared(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0804" and clinic.PATIENT not in str(caught.value)
    return diagnostic.message


def test_damaged_files(tmp_path: Path) -> None:
    path = clinic.dicom(tmp_path / "a.dcm", STORED, **CT)
    whole = path.read_bytes()
    for length in (0, 100, 131, 200, 400, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert refusal(path)
    path.write_bytes(b"")
    assert refusal(path).endswith("it is empty")
    path.write_bytes(b"not DICOM")
    assert "no DICOM file" in refusal(path)
    assert "no rows and columns" in refusal(clinic.dicom(path, STORED, Rows=0))
    assert "65,535 x 65,535 pixels" in refusal(clinic.dicom(path, STORED, Rows=65535, Columns=65535))
    assert "rescale slope" in refusal(clinic.dicom(path, STORED, RescaleSlope=0))
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = bytearray(whole)
        for at in rng.integers(128, len(data), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            prepared(path)
        except ArchError as problem:
            assert clinic.PATIENT not in str(problem)


def test_files_without_an_image_are_skipped(tmp_path: Path) -> None:
    from pydicom.uid import MediaStorageDirectoryStorage

    video = clinic.dicom(tmp_path / "video", STORED)
    data = pydicom.dcmread(video)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    data.PixelData = pydicom.encaps.encapsulate([b"\0" * 8])
    data["PixelData"].is_undefined_length = True
    data.save_as(video)
    index = clinic.dicom(tmp_path / "INDEX", STORED)
    data = pydicom.dcmread(index)
    data.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    data.save_as(index)
    segmented = clinic.dicom(tmp_path / "seg", STORED, Modality="SEG")
    (tmp_path / "letter").write_text("Dear colleague")
    (tmp_path / "nothing").touch()
    for axes in (2, 3):
        paths = [video, index, segmented, tmp_path / "letter", tmp_path / "nothing"]
        reasons = [one.reason for one in scan(paths, axes) if isinstance(one, Skipped)]
        assert reasons == [
            "a video in a DICOM file",
            "an index of DICOM files",
            "a DICOM file with a segmentation",
            "not an image",
            "it is empty",
        ]


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.runtime.images.dicom.find_spec", lambda name: None)
    path = clinic.dicom(tmp_path / "a.dcm", STORED)
    assert [*scan([path], 2)] == [as_source(path)] and [*scan([path], 3)] == [as_source(path)]
    assert "pydicom, which is not installed: pip install" in refusal(path)


def test_sizes_in_compressed_headers() -> None:
    import io

    for kind in ("JPEG", "JPEG2000"):
        Image.new("L", (33, 21)).save(file := io.BytesIO(), kind, no_jp2=True)
        assert stated_size(file.getvalue()) == (21, 33)
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff" * 40, b"\xff\x4f\xff\x51"):
        assert stated_size(data) is None


def test_warnings_of_decoders_stay_silent_in_all_threads() -> None:
    before = [*warnings.filters]
    gate = threading.Barrier(4)

    def decode() -> None:
        for _ in range(50):
            with quiet():
                gate.wait(timeout=60)
                warnings.warn("the name of a patient", stacklevel=1)

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [*warnings.filters] == before
    with pytest.warns(UserWarning, match="loud"):
        warnings.warn("loud", stacklevel=1)
