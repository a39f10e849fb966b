"""Volumes from DICOM series and NIfTI files, against MONAI's transforms on the same files.

Tests `runtime/volume.py`, `runtime/images/slices.py` and `runtime/images/nifti.py`.
"""

from __future__ import annotations

import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import archdsl
from archdsl.diagnostics import ArchError
from archdsl.runtime.images import Skipped, Source, dicom, scan
from archdsl.runtime.preprocess import LegalSizes, Prepared, prepare
from archdsl.runtime.recipe import Recipe
from tests.support import clinic

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

FREE = (LegalSizes(),) * 3
ORIENTATIONS = ["SPL", "RAS", "LPS", "PIR", "ALI"]


def ct(seed: int, tilt: float = 20.0) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float64]]:
    """A small scan and its place, turned by some degrees."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 10, 3)
    place = clinic.affine(rng, (0.71, 0.93, 2.37), tilt=float(rng.uniform(-tilt, tilt)))
    return rng.integers(-1000, 2000, sizes).astype(np.int16), place


def sample(files: list[Path]) -> Source:
    (only,) = scan(files, 3)
    assert isinstance(only, Source)
    return only


def prepared(source: Source | Path, **steps: Any) -> Prepared:
    return prepare(source, Recipe(**({"orientation": "SPL"} | steps)), FREE, 1)


def monai(source: str, *steps: tuple[str, Any]) -> npt.NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai import transforms as of_monai

        chain = [of_monai.LoadImage(ensure_channel_first=True, image_only=True)]
        chain += [getattr(of_monai, name)(**options) for name, options in steps]
        return np.asarray(of_monai.Compose(chain)(source))


@pytest.mark.parametrize("seed", range(5))
def test_steps_are_monais(seed: int, tmp_path: Path) -> None:
    values, place = ct(seed, tilt=0)  # of a turned scan, MONAI's `Spacing` aligns a corner or the centre by rounding
    path, orientation = clinic.nifti(tmp_path / "ct.nii.gz", values, place), ORIENTATIONS[seed]
    rng = np.random.default_rng(seed)
    resize, crop = (tuple(map(int, rng.integers(4, 14, 3))) for _ in "rc")
    spacing = tuple(map(float, rng.uniform(0.6, 2.0, 3)))
    ours = prepared(path, orientation=orientation, spacing=spacing, intensity=(-500, 900), resize=resize, crop=crop)
    theirs = monai(
        str(path),
        ("Orientation", {"axcodes": orientation, "labels": None}),
        ("Spacing", {"pixdim": spacing}),
        ("ScaleIntensityRange", {"a_min": -500, "a_max": 900, "b_min": 0, "b_max": 1, "clip": True}),
        ("Resize", {"spatial_size": resize, "mode": "trilinear"}),
        ("ResizeWithPadOrCrop", {"spatial_size": crop}),
    )
    np.testing.assert_allclose(ours.values[0], theirs, atol=2e-6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_orientations_of_turned_scans_are_monais(orientation: str, tmp_path: Path) -> None:
    for seed in range(3):
        path = clinic.nifti(tmp_path / "ct.nii.gz", *ct(seed, tilt=40))
        theirs = monai(str(path), ("Orientation", {"axcodes": orientation, "labels": None}))
        assert np.array_equal(prepared(path, orientation=orientation).values[0], theirs)


@pytest.mark.parametrize("size", range(3, 9))
def test_a_crop_is_monais_for_odd_and_even_sizes(size: int, tmp_path: Path) -> None:
    values, place = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7), np.eye(4)
    path = clinic.nifti(tmp_path / "ct.nii", values, place)
    theirs = monai(str(path), ("ResizeWithPadOrCrop", {"spatial_size": (size, size, size)}))
    assert np.array_equal(prepared(path, orientation="LPS", crop=(size,) * 3).values[0], theirs.transpose(0, 1, 2, 3))


@pytest.mark.parametrize("seed", range(4))
def test_a_series_and_nifti_are_the_same_tensor(seed: int, tmp_path: Path) -> None:
    values, place = ct(seed)
    series = sample(clinic.series(tmp_path / "study", values, place))
    assert series.name == str(tmp_path / "study")
    steps: Any = {"spacing": (1.0, 1.1, 0.9), "intensity": (-1000, 2000), "crop": (8, 8, 8)}
    path = clinic.nifti(tmp_path / "ct.nii.gz", values, place)
    np.testing.assert_allclose(prepared(series, **steps).values, prepared(path, **steps).values, atol=1e-6)
    assert np.array_equal(prepared(series).values, prepared(path).values)


def test_a_number_of_voxels_between_two_is_the_same_for_both(tmp_path: Path) -> None:
    """6 x 0.9 / 1.2 is 4.5, or a little more or less in the digits that a format stores."""
    values = np.arange(7 * 7 * 7, dtype=np.int16).reshape(7, 7, 7)
    place = np.diag([0.9, 0.9, 0.9, 1.0])
    path, files = clinic.nifti(tmp_path / "ct.nii", values, place), clinic.series(tmp_path / "ct", values, place)
    ours = [prepared(one, spacing=(1.2, 1.2, 1.2)).values for one in (path, sample(files))]
    assert ours[0].shape == ours[1].shape == (1, 1, 6, 6, 6)


def test_a_series_is_slices_rows_and_columns_in_the_order_of_positions(tmp_path: Path) -> None:
    values = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    series = sample(clinic.series(tmp_path / "study", values, np.diag([0.5, 0.6, 2.0, 1.0])))
    assert np.array_equal(prepared(series).values[0, 0], values)


def test_the_header_of_each_slice_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series, read = sample(clinic.series(tmp_path / "study", VALUES, PLACE)), list[Path]()
    header = dicom.header

    def counted(file: Any, path: Path) -> dicom.Header:
        read.append(path)
        return header(file, path)

    monkeypatch.setattr(dicom, "header", counted)
    prepared(series)
    assert sorted(read) == sorted(series.paths)


def test_monai_reads_the_series_alike(tmp_path: Path) -> None:
    values, place = ct(3)
    clinic.series(tmp_path / "study", values, place)
    theirs = monai(str(tmp_path / "study"), ("Orientation", {"axcodes": "SPL", "labels": None}))
    ours = prepared(sample(sorted((tmp_path / "study").iterdir()))).values[0]
    assert np.array_equal(ours, theirs)


def refusal(source: Source | Path, **steps: Any) -> str:
    with pytest.raises(ArchError) as caught:
        prepared(source, **steps)
    (diagnostic,) = caught.value.diagnostics
    assert clinic.PATIENT not in str(caught.value)
    return f"{diagnostic.code} {diagnostic.message}"


VALUES, PLACE = np.arange(6 * 4 * 5, dtype=np.int16).reshape(6, 4, 5), np.diag([0.5, 0.5, 2.0, 1.0])


def test_a_missing_slice(tmp_path: Path) -> None:
    files = clinic.series(tmp_path / "study", VALUES, PLACE)
    heights = {path: height(path) for path in files}
    inner = next(path for path, z in heights.items() if z == 4.0)
    inner.unlink()
    message = refusal(sample([path for path in files if path != inner]))
    assert message.startswith("E0812 `study` is not a volume: ")
    assert message.endswith("are 4 mm apart, the other slices 2 mm")


def height(path: Path) -> float:
    import pydicom

    return float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"ImagePositionPatient": [0, 0, 4]}, "are at the same place"),
        ({"PixelSpacing": [0.5, 0.7]}, "have different directions or spacings"),
        ({"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}, "have different directions or spacings"),
        ({"ImagePositionPatient": None}, "does not say where its slices are"),
        ({"ImagePositionPatient": [5, 0, 12]}, "shifted against each other"),
    ],
)
def test_a_slice_that_does_not_belong(elements: dict[str, Any], why: str, tmp_path: Path) -> None:
    files = clinic.series(tmp_path / "study", VALUES, PLACE)
    place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.5, 0.5]}
    place["ImagePositionPatient"] = [0, 0, 12]
    files.append(clinic.dicom(tmp_path / "study/other", VALUES[0].astype(np.uint16), **(place | elements)))
    message = refusal(sample(files))
    assert message.startswith("E0812") and why in message, message


def test_slices_of_other_sizes_and_colours_and_single_ones(tmp_path: Path) -> None:
    files = clinic.series(tmp_path / "study", VALUES, PLACE)
    assert "only one slice" in refusal(sample(files[:1]))
    place: Any = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.5, 0.5]}
    at: Any = {"ImagePositionPatient": [0, 0, 12]}
    wide = clinic.dicom(tmp_path / "study/wide", np.zeros((4, 6), np.uint16), **place, **at)
    assert "different numbers of rows and columns" in refusal(sample([*files, wide]))
    red = clinic.dicom(tmp_path / "study/red", np.zeros((4, 5, 3), np.uint8), **place, **at)
    assert "has colours" in refusal(sample([*files, red]))


def test_how_a_viewer_shows_a_series_does_not_change_its_values(tmp_path: Path) -> None:
    path = clinic.nifti(tmp_path / "ct.nii", VALUES, PLACE)
    shown: Any = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 40, "WindowWidth": 3}
    study = sample(clinic.series(tmp_path / "study", VALUES, PLACE, **shown))
    for span in (None, (10.0, 90.0)):
        ours = prepared(study, intensity=span)
        assert np.array_equal(ours.values, prepared(path, intensity=span).values)
        assert "MONOCHROME1" in ours.notes[0].message and ours.notes[0].code == "N0804"


def test_a_series_of_which_a_part_is_inverted(tmp_path: Path) -> None:
    files = clinic.series(tmp_path / "study", VALUES[:-1], PLACE)
    last = {"ImagePositionPatient": [0, 0, 10], "PhotometricInterpretation": "MONOCHROME1"}
    (one,) = clinic.series(tmp_path / "last", VALUES[-1:], PLACE, **last)
    one.rename(tmp_path / "study/last")
    assert "only one of `IM" in refusal(sample([*files, tmp_path / "study/last"]))


def test_one_series_in_two_folders(tmp_path: Path) -> None:
    files = [path for name in "AB" for path in clinic.series(tmp_path / name, VALUES, PLACE)]
    message = refusal(sample(files))
    assert "`A/IM" in message and "`B/IM" in message
    assert message.endswith("have the same SeriesInstanceUID and are at the same place")


def test_slices_without_a_series(tmp_path: Path) -> None:
    files = clinic.series(tmp_path / "study", VALUES, PLACE, SeriesInstanceUID="")
    for one in scan(files, 3):
        assert isinstance(one, Source) and "it has no SeriesInstanceUID" in refusal(one)


def test_series_in_one_folder_are_samples_of_their_own(tmp_path: Path) -> None:
    files = clinic.series(tmp_path / "one", VALUES, PLACE)
    more = clinic.series(tmp_path / "two", VALUES, PLACE, SeriesInstanceUID="1.2.4")
    for path in more:
        path.rename(tmp_path / "one" / f"b{path.name}")
    (tmp_path / "one" / ".DS_Store").touch()
    (tmp_path / "one" / "IM999.dcm").touch()
    found = list(scan(sorted((tmp_path / "one").iterdir()), 3))
    names = [one.name for one in found if isinstance(one, Source)]
    assert names == [str(tmp_path / "one" / name) for name in ("IM999.dcm", "IM000", "bIM000")]
    assert [one.path.name for one in found if isinstance(one, Skipped)] == [".DS_Store"]
    assert len([one for one in found if isinstance(one, Source)][1].paths) == len(files)
    assert "it is empty" in refusal(found[1] if isinstance(found[1], Source) else found[0])  # type: ignore[arg-type]


def test_an_enhanced_file_is_a_volume(tmp_path: Path) -> None:
    """One file with all slices, whose positions and rescale are in its functional groups."""
    from pydicom.dataset import Dataset

    def group(name: str, **elements: Any) -> Dataset:
        inner, outer = Dataset(), Dataset()
        for key, value in elements.items():
            setattr(inner, key, value)
        setattr(outer, name, [inner])
        return outer

    order = np.random.default_rng(1).permutation(len(VALUES))
    frames = [group("PlanePositionSequence", ImagePositionPatient=[0, 0, 2.0 * n]) for n in order]
    shared = group("PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared.update(group("PixelMeasuresSequence", PixelSpacing=[0.5, 0.5]))
    shared.update(group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024))
    path = clinic.dicom(
        tmp_path / "enhanced.dcm",
        (VALUES[order] + 1024).astype(np.uint16),
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
    )
    assert np.array_equal(prepared(sample([path])).values[0, 0], VALUES)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 3, 4, 5)])
def test_channels_of_nifti(shape: tuple[int, ...], tmp_path: Path) -> None:
    """On the fourth axis, or as a vector on the fifth."""
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path = clinic.nifti(tmp_path / "mr.nii", values, PLACE)
    found = prepare(path, Recipe(orientation="SPL"), FREE, 2).values[0]
    assert np.array_equal(found, values.reshape(2, 3, 4, 5))
    assert "has 2 channels; the network's input has 1" in refusal(path)


def test_scaled_nifti_and_the_second_version(tmp_path: Path) -> None:
    import nibabel

    image = nibabel.Nifti2Image(VALUES.T.astype(np.uint8), np.diag([-1, -1, 1, 1]) @ PLACE)
    image.header.set_slope_inter(2.0, -7.0)
    image.to_filename(path := tmp_path / "ct.nii.gz")
    raw = image.get_data_dtype()
    assert raw == np.uint8
    assert np.array_equal(prepared(path).values[0, 0], nibabel.load(path).get_fdata().T.astype(np.float32))


@pytest.mark.parametrize("name", ["ct.nii", "ct.dcm", "ct.npy", "ct", "ct.png"])
def test_a_missing_file_is_missing(name: str, tmp_path: Path) -> None:
    message = refusal(tmp_path / name)
    assert message.startswith("E0804 cannot read `") and message.endswith("no such file or directory")


@pytest.mark.parametrize(
    ("kind", "steps", "copies"),
    [
        (np.int16, {"crop": (4, 4, 4), "intensity": (0.0, 9.0)}, 1.2),
        (np.float32, {"spacing": (2.0, 1.0, 1.0), "intensity": (0.0, 9.0)}, 1.7),
        (np.float32, {"resize": (48, 96, 96)}, 1.7),
    ],
)
def test_a_small_file_cannot_exhaust_the_memory(
    kind: Any, steps: Any, copies: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed file of zeros needs its values, and what a step makes of them."""
    monkeypatch.setattr("archdsl.runtime.images.nifti._PART", 1 << 12)
    stored = np.zeros((96, 96, 96), kind)
    path = clinic.nifti(tmp_path / "zeros.nii.gz", stored, np.eye(4))
    assert path.stat().st_size < stored.nbytes / 100
    prepared(path, crop=(1, 1, 1))  # imports
    tracemalloc.start()
    try:
        prepared(path, **steps)
        assert tracemalloc.get_traced_memory()[1] < copies * stored.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [">i2", "<i2", "u1", "<i4", "<f4", "<f8", ">f4"])
def test_values_of_nifti_are_nibabels(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nibabel

    monkeypatch.setattr("archdsl.runtime.images.nifti._PART", 7)
    header = nibabel.Nifti1Header(endianness=kind[0] if kind[0] in "<>" else "<")
    header.set_data_dtype(np.dtype(kind))
    header.set_slope_inter(*((1, 0) if kind == ">i2" else (0.25, -3)))
    values = np.random.default_rng(0).integers(0, 120, (5, 4, 3)).astype(np.dtype(kind).newbyteorder("="))
    nibabel.Nifti1Image(values, np.eye(4), header).to_filename(path := tmp_path / "ct.nii.gz")
    theirs = nibabel.load(path).get_fdata().astype(np.float32).T
    assert np.array_equal(prepared(path, orientation=None).values[0, 0], theirs)


def test_nifti_that_cannot_be_used(tmp_path: Path) -> None:
    path = clinic.nifti(tmp_path / "ct.nii", VALUES, None)
    whole = path.read_bytes()
    assert "does not say how it lies in the patient" in refusal(path)
    assert np.array_equal(prepared(path, orientation=None).values[0, 0], VALUES)
    assert "how far apart" in refusal(path, orientation=None, spacing=(1.0, 1.0, 1.0))
    path.write_bytes(whole[:400])
    assert "E0804" in refusal(path)
    path.write_bytes(b"")
    assert "it is empty" in refusal(path)
    (tmp_path / "ct.nii.gz").write_bytes(b"\x1f\x8b damaged")
    assert "E0804" in refusal(tmp_path / "ct.nii.gz")
    sheared = PLACE.copy()
    sheared[1, 2] = 0.6
    assert "not perpendicular" in refusal(clinic.nifti(tmp_path / "ct.nii", VALUES, sheared))
    values = VALUES.astype(np.float32)
    values[0, 0, 0] = np.nan
    assert "infinities or NaN" in refusal(clinic.nifti(tmp_path / "ct.nii", values, PLACE))
    from nibabel.nifti1 import Nifti1Header

    for shape, offset, why in (
        ((2000, 2000, 2000), 352, "million voxels"),
        ((2, 2), 352, "it has 2 axes"),
        ((2, 2, 2), 1 << 30, "begin too far"),
    ):
        head = Nifti1Header()
        head.set_data_shape(shape)
        head["vox_offset"], head["magic"] = offset, b"n+1"
        (tmp_path / "ct.nii").write_bytes(head.binaryblock + b"\0" * 100)
        assert why in refusal(tmp_path / "ct.nii")


def test_values_without_a_range_are_a_warning(tmp_path: Path) -> None:
    path = clinic.nifti(tmp_path / "ct.nii", VALUES * 10, PLACE)
    (warning,) = prepared(path).notes
    assert (warning.code, "enter the network as they are" in warning.message) == ("W0811", True)
    assert not prepared(path, intensity=(0, 1000)).notes
    assert not prepared(path, mean=(300.0,), std=(90.0,)).notes
    (warning,) = prepared(path, intensity=(5000, 9000)).notes
    assert "nearly constant" in warning.message


SPEC = """
input: 1x8x8x8
net: [3x3x3 conv 2, gap, fc 2]
preprocess: {spacing: [1, 1.1, 0.9], window: lung}
"""


def test_the_recipe_of_a_spec_travels_in_the_model(tmp_path: Path) -> None:
    from archdsl.prediction.predictor import open_predictor

    values, place = ct(1)
    net = archdsl.loads(SPEC)
    net.to_onnx(tmp_path / "net.onnx", net.weights())
    series = sample(clinic.series(tmp_path / "study", values, place))
    model = open_predictor(tmp_path / "net.onnx").model
    assert model.recipe == net.recipe and model.axes == 3
    assert model.recipe.intensity == (-1350.0, 149.0) and model.recipe.crop == (8, 8, 8)
    ours = model.prepare(series).values
    pytest.importorskip("torch")
    transform: Any = net.transforms()
    assert np.array_equal(transform(series).numpy()[None], ours)
    assert np.array_equal(transform(tmp_path / "study").numpy()[None], ours)
    clinic.nifti(tmp_path / "study" / "another.nii.gz", values, place)
    with pytest.raises(ArchError, match="`study` is not a usable image: the folder has 2 samples"):
        transform(tmp_path / "study")
    done = archdsl.predict(net, clinic.nifti(tmp_path / "ct.nii.gz", values, place))
    assert len(done.images) == 1


def test_signals_and_other_channels_are_arrays(tmp_path: Path) -> None:
    net = archdsl.loads("input: 12x100\nnet: [7 conv 4, gap, fc 2]")
    np.save(tmp_path / "ecg.npy", np.random.default_rng(0).normal(size=(12, 100)))
    assert len(archdsl.predict(net, tmp_path / "ecg.npy").images) == 1
    for shape, why in (((12, 99), "has the shape 12 x 99"), ((100, 12), "the network's input is 12 x 100")):
        np.save(tmp_path / "wrong.npy", np.zeros(shape))
        with pytest.raises(ArchError, match=why):
            archdsl.predict(net, tmp_path / "wrong.npy")


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("{window: lung, intensity: [0, 1]}", "write one of them"),
        ("{orientation: XYZ}", "has one of R and L"),
        ("{window: [40, 0]}", "the width must be at least 1"),
        ("{intensity: [5, 5]}", "must be smaller"),
        ("{resize: 8}", "has three sizes"),
        ("{layout: L}", "for images"),
        ("{mean: [1, 2]}", "has 2 values; the input has 1 channel"),
    ],
)
def test_a_section_that_does_not_fit(section: str, why: str) -> None:
    with pytest.raises(ArchError) as caught:
        _ = archdsl.loads(f"input: 1x8x8x8\nnet: [gap, fc 2]\npreprocess: {section}").recipe
    assert caught.value.diagnostics[0].code == "E0806" and why in caught.value.diagnostics[0].message
