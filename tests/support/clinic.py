"""DICOM and NIfTI files as scanners and converters write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PATIENT = "Doe^Jane"
"""No message may contain it."""


def dicom(path: Path, stored: npt.NDArray[Any], **elements: Any) -> Path:
    """Write a file with the stored values `([frames,] rows, columns[, 3])`, and elements by keyword."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    data, meta = Dataset(), FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    colours = stored.shape[-1] == 3
    sizes = stored.shape[:-1] if colours else stored.shape
    data.PatientName, data.PatientID, data.Modality = PATIENT, PATIENT, "CT"
    data.SeriesInstanceUID = elements.pop("SeriesInstanceUID", "1.2.3")
    data.Rows, data.Columns = sizes[-2:]
    data.NumberOfFrames = sizes[0] if len(sizes) > 2 else None
    data.SamplesPerPixel = 3 if colours else 1
    data.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        data.PlanarConfiguration = 0
    bits = 8 * stored.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(stored.dtype.kind == "i")
    if data.NumberOfFrames is None:
        del data.NumberOfFrames
    for name, value in elements.items():
        setattr(data, name, value)
    data.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    data["PixelData"].VR = "OB" if bits == 8 else "OW"
    data.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def affine(rng: np.random.Generator, spacing: tuple[float, ...], tilt: float = 0.0) -> npt.NDArray[np.float64]:
    """Return a place `(column, row, slice) -> LPS` with permuted, mirrored axes, turned by `tilt` degrees."""
    columns = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    columns[2] = np.cross(columns[0], columns[1])  # DICOM's slices follow the normal of rows and columns
    angle = np.deg2rad(tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    out = np.eye(4)
    out[:3, :3] = turn @ columns.T * np.array(spacing)
    out[:3, 3] = rng.uniform(-100, 100, 3)
    return out


def series(folder: Path, values: npt.NDArray[np.int16], place: npt.NDArray[np.float64], **elements: Any) -> list[Path]:
    """Write `(slices, rows, columns)` in HU as one file per slice, named in a random order."""
    names = np.random.default_rng(len(values)).permutation(len(values))
    files = []
    for number, slice_ in enumerate(values):
        at = place @ [0, 0, number, 1]
        files.append(
            dicom(
                folder / f"IM{names[number]:03}",
                (slice_ + 1024).astype(np.uint16),
                RescaleSlope=1,
                RescaleIntercept=-1024,
                InstanceNumber=number + 1,
                **{
                    "ImagePositionPatient": [f"{x:.6f}" for x in at[:3]],
                    "ImageOrientationPatient": [
                        f"{x:.10g}" for axis in (0, 1) for x in place[:3, axis] / np.linalg.norm(place[:3, axis])
                    ],
                    "PixelSpacing": [float(np.linalg.norm(place[:3, axis])) for axis in (1, 0)],
                    **elements,
                },
            )
        )
    return sorted(files)


def nifti(path: Path, values: npt.NDArray[Any], place: npt.NDArray[np.float64] | None) -> Path:
    """Write `([channels,] slices, rows, columns)` with the same place as a series; None: without one."""
    import nibabel

    image = nibabel.Nifti1Image(values.T, None if place is None else np.diag([-1, -1, 1, 1]) @ place)
    nibabel.save(image, path)
    return path
