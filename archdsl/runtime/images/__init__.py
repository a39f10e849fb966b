"""Read images as clinics and cameras write them: PNG, JPEG, TIFF, DICOM, NIfTI, arrays of numpy.

`scan` turns files into samples (`Source`), `read` decodes one sample into `Pixels`, which `runtime/preprocess.py`
converts to the network's input. No header field that may identify a patient is read, printed or kept.
"""

from archdsl.runtime.images.pixels import Pixels, Unusable, Wanted, check_finite, unreadable
from archdsl.runtime.images.readers import read
from archdsl.runtime.images.scan import scan
from archdsl.runtime.images.source import Skipped, Source, as_source

__all__ = [
    "Pixels",
    "Skipped",
    "Source",
    "Unusable",
    "Wanted",
    "as_source",
    "check_finite",
    "read",
    "scan",
    "unreadable",
]
