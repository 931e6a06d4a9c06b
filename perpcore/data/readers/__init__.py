"""Files of measured data in, complex images or k-space out."""

from perpcore.data.readers.base import UnreadableFileError, Volume, is_undersampled, require_fully_sampled
from perpcore.data.readers.fetch import MEASURED_SOURCE, find_measured
from perpcore.data.readers.images import describe, preview, read_single
from perpcore.data.readers.open import combined_image, fingerprint, open_file, open_source

__all__ = [
    "MEASURED_SOURCE", "UnreadableFileError", "Volume", "combined_image", "describe", "find_measured", "fingerprint",
    "is_undersampled", "open_file", "open_source", "preview", "read_single", "require_fully_sampled",
]  # fmt: skip
