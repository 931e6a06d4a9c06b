"""Files of measured data in, complex images or k-space out."""

from perpcore.data.readers.base import UnreadableFileError, Volume
from perpcore.data.readers.fetch import SOURCES, fetch
from perpcore.data.readers.images import (
    MEASURED_SOURCE,
    combined_image,
    describe,
    find_measured,
    find_test_data,
    preview,
    read_image,
    read_image_pair,
    read_kspace,
)
from perpcore.data.readers.open import FORMATS, fingerprint, open_file, open_folder, open_source

__all__ = [
    "FORMATS", "MEASURED_SOURCE", "SOURCES", "UnreadableFileError", "Volume", "combined_image",
    "describe", "fetch", "find_measured", "find_test_data", "fingerprint", "open_file",
    "open_folder", "open_source", "preview", "read_image", "read_image_pair", "read_kspace",
]  # fmt: skip
