"""Files of measured data in, complex k-space out."""

from perpcore.readers.arrays import (
    MEASURED_SOURCE,
    crop_center,
    find_measured,
    read_image,
    read_image_pair,
    read_kspace,
)

__all__ = [
    "MEASURED_SOURCE",
    "crop_center",
    "find_measured",
    "read_image",
    "read_image_pair",
    "read_kspace",
]
