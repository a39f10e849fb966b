"""The types of numbers in weights files, and their conversion to float32 and int64."""

from __future__ import annotations

import numpy as np

from archdsl.backends.weights.tensors import Array, cast

DTYPES = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",
    "float8_e4m3fn": "<u1",
    "float8_e5m2": "<u1",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "<i1",
    "uint64": "<u8",
    "uint32": "<u4",
    "uint16": "<u2",
    "uint8": "<u1",
    "bool": "<u1",
}
"""NumPy's type of the stored bytes, by torch's name."""
TORCH_DTYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
SAFETENSORS_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    **{f"{sign}{bits}": f"{name}{bits}" for sign, name in (("I", "int"), ("U", "uint")) for bits in (64, 32, 16, 8)},
    "BOOL": "bool",
}


def is_real(dtype: str) -> bool:
    return "float" in dtype


def as_array(stored: Array, dtype: str) -> Array:
    """Return stored values as float32 or int64; without a copy if they already are."""
    if dtype == "bfloat16":  # the upper half of a float32
        return (stored.astype("<u4") << 16).view("<f4")
    if dtype == "float8_e5m2":  # the upper half of a float16
        return (stored.astype("<u2") << 8).view("<f2").astype("<f4")
    if dtype == "float8_e4m3fn":
        return _e4m3(stored)
    return cast(stored, "<f4" if is_real(dtype) else "<i8")


def _e4m3(stored: Array) -> Array:
    """One sign bit, four of the exponent with bias 7, three of the fraction; no infinities, 0x7f is NaN."""
    codes = np.arange(256)
    exponent, fraction = codes >> 3 & 15, codes & 7
    values = np.where(exponent > 0, (8 + fraction) * 2.0 ** (exponent - 10), fraction * 2.0**-9)
    values[codes & 127 == 127] = np.nan
    return np.where(codes < 128, values, -values).astype("<f4")[stored]
