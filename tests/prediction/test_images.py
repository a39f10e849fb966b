"""From the files of a folder to samples: `archdsl.runtime.images`, its modules `runtime/images/scan.py`,
`runtime/images/source.py`, `runtime/images/pixels.py`, `runtime/images/readers.py`, `runtime/images/raster.py`,
`runtime/images/opened.py`, `runtime/images/quiet.py`, `runtime/images/array.py`, `runtime/images/codestream.py` and
`runtime/images/dicom.py`.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archdsl.diagnostics import ArchError
from archdsl.runtime.images import Skipped, Source, as_source, scan
from archdsl.runtime.preprocess import LegalSizes, Prepared, prepare
from archdsl.runtime.recipe import Recipe

FREE = (LegalSizes(), LegalSizes())
TWELVE = np.random.default_rng(0).integers(0, 4096, (6, 5)).astype(np.uint16)


def prepared(path: Path, **steps: Any) -> Prepared:
    return prepare(path, Recipe(**({"layout": "L"} | steps)), FREE)


def png(values: np.ndarray[Any, Any], colour: int = 0, more: bytes = b"") -> bytes:
    """A PNG of 16 bits, written from its specification. `more` are chunks before the pixels."""
    rows, columns = values.shape[:2]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 16, colour, 0, 0, 0))
    data = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_a_file_is_a_sample_and_other_files_have_a_reason() -> None:
    names = ["a.png", ".DS_Store", "Thumbs.db", "film.MP4", "report.pdf", "._a.png"]
    samples = list(scan((Path("folder", name) for name in names), 2))
    assert samples[0] == as_source(Path("folder/a.png")) == Source("folder/a.png", (Path("folder/a.png"),))
    reasons = {s.path.name: s.reason for s in samples[1:] if isinstance(s, Skipped)}
    assert list(reasons) == names[1:]
    assert reasons["film.MP4"] == "a video"


def test_a_png_of_12_bits_is_dark_and_the_warning_names_the_remedy(tmp_path: Path) -> None:
    (path := tmp_path / "a.png").write_bytes(png(TWELVE))
    found = prepared(path)
    assert np.array_equal(found.values[0, 0], TWELVE.astype(np.float32) / np.float32(65535))
    warning = found.notes[-1]
    assert warning.code == "W0811" and "if it has 12 bits, write `preprocess: {intensity: [0, 4095]}`" in warning.help
    better = prepared(path, intensity=(0.0, 4095.0))
    assert np.array_equal(better.values[0, 0], TWELVE.astype(np.float32) / np.float32(4095)) and not better.notes


def test_the_brightest_pixel_scales_nothing(tmp_path: Path) -> None:
    """Two images with the same pixel, one of them with a brighter neighbour."""
    values = []
    for brightest in (20000, 60000):
        pixels = np.array([[1000, brightest]], np.uint16)
        (path := tmp_path / "a.png").write_bytes(png(pixels))
        values.append(prepared(path).values[0, 0, 0, 0])
    assert values[0] == values[1]


def test_significant_bits_change_nothing(tmp_path: Path) -> None:
    """The values of a PNG with sBIT are scaled to 16 bits already."""
    scaled = (TWELVE << 4) | (TWELVE >> 8)
    (path := tmp_path / "a.png").write_bytes(png(scaled, more=chunk(b"sBIT", b"\x0c")))
    np.testing.assert_allclose(prepared(path).values[0, 0], TWELVE / 4095, atol=2e-5)
    assert [note.code for note in prepared(path).notes] == ["N0804"]


def test_colours_of_16_bits_are_reduced_and_say_so(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    (path := tmp_path / "a.png").write_bytes(png(pixels, colour=2))
    found = prepared(path, layout="RGB")
    assert any("reduced from 16 to 8 bits" in note.message for note in found.notes)
    np.testing.assert_allclose(found.values[0].transpose(1, 2, 0), pixels / 65535, atol=1 / 255)


def test_tiff_declares_its_depth(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    unit = TWELVE.astype(np.float32) / np.float32(4095)
    tifffile.imwrite(path, TWELVE, extratags=[(281, "H", 1, 4095, True)])
    assert np.array_equal(prepared(path).values[0, 0], unit)
    tifffile.imwrite(path, TWELVE, extratags=[(281, "H", 1, 1000, True)])
    with pytest.raises(ArchError, match="not from 0 to 1000"):
        prepared(path)
    assert np.array_equal(prepared(path, intensity=(0.0, 4095.0)).values[0, 0], unit)
    tifffile.imwrite(path, TWELVE, extratags=[(281, "H", 1, 4095, True)], photometric="miniswhite")
    np.testing.assert_allclose(prepared(path).values[0, 0], 1 - unit, atol=1e-6)
    tifffile.imwrite(path, TWELVE)
    assert prepared(path).notes[-1].code == "W0811"
    tifffile.imwrite(path, TWELVE.astype(np.float32))
    with pytest.raises(ArchError, match="not from 0 to 1"):
        prepared(path)
    assert np.array_equal(prepared(path, intensity=(0.0, 4095.0)).values[0, 0], unit)


def test_packed_values_of_12_bits(tmp_path: Path) -> None:
    """Two pixels in three bytes, without a declared maximum: their container has 12 bits."""
    flat = np.zeros((4, 6), np.uint16)
    flat[:] = TWELVE.ravel()[:24].reshape(4, 6)
    pairs = flat.reshape(-1, 2).astype(np.uint32)
    data = b"".join(int(a << 12 | b).to_bytes(3, "big") for a, b in pairs.tolist())
    tags = [(256, 6), (257, 4), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    (path := tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory)
    np.testing.assert_allclose(prepared(path).values[0, 0], flat / 4095, atol=1e-6)


def test_a_range_maps_grey_images_only(tmp_path: Path) -> None:
    Image.fromarray(TWELVE.astype(np.uint8)).save(path := tmp_path / "a.png")
    assert prepared(path, intensity=(10.0, 20.0)).values[0, 0, 0, 0] == np.clip(
        (TWELVE.astype(np.uint8)[0, 0] - 10.0) / 10, 0, 1
    )
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(ArchError, match="its colours are no measured values"):
        prepared(path, intensity=(0.0, 1.0), layout="RGB")


def test_a_blank_image_is_a_warning(tmp_path: Path) -> None:
    Image.new("L", (4, 4), 7).save(path := tmp_path / "a.png")
    (warning,) = prepared(path).notes
    assert warning.code == "W0811" and "nearly constant" in warning.message and "blank" in warning.help


def test_arrays_are_the_input_itself(tmp_path: Path) -> None:
    np.save(path := tmp_path / "a.npy", values := np.random.default_rng(0).normal(size=(4, 6, 5)))
    found = prepare(path, Recipe(mean=(9.0,)), FREE, 4)
    assert np.array_equal(found.values[0], values.astype(np.float32))
    assert "`preprocess` is not applied" in found.notes[0].message
    with pytest.raises(ArchError, match="has the shape 4 x 6 x 5; the network's input is 3 x"):
        prepare(path, Recipe(), FREE, 3)


def test_names_in_other_encodings(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    Image.new("L", (4, 4), 7).save(file := io.BytesIO(), "PNG")
    with open(folder + b"/scan\xff.png", "wb") as out:
        out.write(file.getvalue())
    (only,) = scan(sorted(tmp_path.iterdir()), 2)
    assert isinstance(only, Source) and prepared(only.path).values.shape == (1, 1, 4, 4)


def test_the_first_bytes_decide(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(png(TWELVE))
    (tmp_path / "picture.dcm").write_bytes(png(TWELVE))
    (tmp_path / "notes").write_text("of a doctor")
    (tmp_path / "half.png").write_bytes(png(TWELVE)[:60])
    found = {one.path.name: one for one in scan(sorted(tmp_path.iterdir()), 2)}
    assert isinstance(found["notes"], Skipped) and found["notes"].reason == "not an image"
    for name in ("picture", "picture.dcm"):
        assert prepared(tmp_path / name).values.shape == (1, 1, 6, 5)
    with pytest.raises(ArchError, match="truncated or damaged"):
        prepared(tmp_path / "half.png")
