"""Files of measured data in, complex images or k-space out."""

from perpcore.data.readers.slices import (
    MEASURED_SOURCE,
    find_measured,
    find_test_data,
    read_image,
    read_image_pair,
    read_kspace,
)
from perpcore.data.readers.volumes import (
    FORMATS,
    UnreadableFileError,
    Volume,
    open_file,
    open_folder,
)

__all__ = [
    "FORMATS",
    "MEASURED_SOURCE",
    "UnreadableFileError",
    "Volume",
    "find_measured",
    "find_test_data",
    "open_file",
    "open_folder",
    "read_image",
    "read_image_pair",
    "read_kspace",
]
from perpcore.data.readers.inspect import combined_image


def fingerprint(v):
    return "x"


def open_source(s, **k):
    return open_folder(s)
