"""`predict`, `import` and `bench` on a file with its preprocessing inside.

Tests `runtime/embedded.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.runtime.embedded import raw_pixels
from tests.support import clinic

pytest.importorskip("onnxruntime")

SPEC = "name: n\ninput: 3x32x32\npreprocess: imagenet\nnet:\n  c: 3x3 conv 8 /2\n  r: relu\n  p: gap\n  fc: fc 10\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network compiled twice, and a picture."""
    folder = tmp_path_factory.mktemp("embedded")
    net = archdsl.loads(SPEC)
    net.compile(folder / "plain.onnx")
    net.compile(folder / "inside.onnx", embed_preprocess=True)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "x.png")
    return folder


def code_of(call: object) -> str:
    assert isinstance(call, ArchError)
    return str(call.diagnostics[0].code)


def test_predict_does_not_preprocess_twice(folder: Path) -> None:
    plain, inside = (archdsl.predict(folder / f"{name}.onnx", folder / "x.png", top=10) for name in ("plain", "inside"))
    values = [{one.index: one.value for one in result.images[0].classes} for result in (plain, inside)]
    assert values[0].keys() == values[1].keys()
    assert max(abs(values[0][key] - values[1][key]) for key in values[0]) < 1e-3


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_image_becomes_rgb(mode: str, folder: Path, tmp_path: Path) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    Image.open(folder / "x.png").convert(mode).save(tmp_path / f"x.{suffix}")
    values = raw_pixels(tmp_path / f"x.{suffix}").values
    assert values.shape == (1, 50, 40, 3) and values.dtype == np.uint8


def test_an_image_of_16_bits_is_refused(folder: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ArchError) as caught:
        archdsl.predict(folder / "inside.onnx", tmp_path / "deep.png")
    assert code_of(caught.value) == "E0804" and "8 bits" in str(caught.value)


def test_a_dicom_file_of_8_bits(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    stored = np.random.default_rng(1).integers(0, 256, (9, 8), np.uint8)
    colours = np.repeat(stored[None, :, :, None], 3, 3)
    path = clinic.dicom(tmp_path / "a.dcm", stored)
    assert np.array_equal(raw_pixels(path).values, colours)
    clinic.dicom(path, stored, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(raw_pixels(path).values, 255 - colours)
    clinic.dicom(path, stored, WindowCenter=128, WindowWidth=256)  # from 0 to 255
    assert np.array_equal(raw_pixels(path).values, colours)
    refused: Any
    for elements, why in (({"WindowCenter": 90, "WindowWidth": 50}, "its window"), ({"RescaleSlope": 2}, "for 8 bits")):
        with pytest.raises(ArchError, match=why) as refused:
            raw_pixels(clinic.dicom(path, stored, **{"RescaleIntercept": 0} | elements))
        assert code_of(refused.value) == "E0804"


def test_import_reads_the_network_alone(folder: Path) -> None:
    imported = archdsl.import_model(folder / "inside.onnx")
    assert imported.network.fingerprint == archdsl.loads(SPEC).fingerprint


def test_bench_refuses_it(folder: Path) -> None:
    with pytest.raises(ArchError) as caught:
        archdsl.bench(folder / "inside.onnx")
    assert code_of(caught.value) == "E0806"


def test_a_file_that_only_claims_to_read_pixels(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / "plain.onnx")
    model.metadata_props.add(key="embedded_preprocess", value="{}")
    onnx.save(model, tmp_path / "claims.onnx")
    with pytest.raises(ArchError) as caught:
        archdsl.predict(tmp_path / "claims.onnx", folder / "x.png")
    assert code_of(caught.value) == "E0806"
