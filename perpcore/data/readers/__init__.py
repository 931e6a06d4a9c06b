"""Files of measured data in, complex images or k-space out."""

from perpcore.data.readers.base import UnreadableFileError as UnreadableFileError
from perpcore.data.readers.base import Volume as Volume
from perpcore.data.readers.fetch import MEASURED_SOURCE as MEASURED_SOURCE
from perpcore.data.readers.fetch import find_measured as find_measured
from perpcore.data.readers.images import combined_image as combined_image
from perpcore.data.readers.images import describe as describe
from perpcore.data.readers.images import is_undersampled as is_undersampled
from perpcore.data.readers.images import preview as preview
from perpcore.data.readers.images import read_image as read_image
from perpcore.data.readers.images import read_image_pair as read_image_pair
from perpcore.data.readers.images import read_kspace as read_kspace
from perpcore.data.readers.images import require_fully_sampled as require_fully_sampled
from perpcore.data.readers.open import fingerprint as fingerprint
from perpcore.data.readers.open import open_file as open_file
from perpcore.data.readers.open import open_source as open_source
