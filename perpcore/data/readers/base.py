"""What the readers share: volumes, errors, headers of scans, units of phase."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite, pi
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from perpcore._checks import require

UNSAMPLED = 0.02  # share of zeros above which k-space of a format that does not say is undersampled
# Places in the encoding of an ISMRMRD header.
HEADER = {
    "matrix": (int, "{*}encodedSpace/{*}matrixSize", "x y z"),
    "recon_matrix": (int, "{*}reconSpace/{*}matrixSize", "x y z"),
    "fov": (float, "{*}encodedSpace/{*}fieldOfView_mm", "x y z"),
    "recon_fov": (float, "{*}reconSpace/{*}fieldOfView_mm", "x y z"),
    "limits": (int, "{*}encodingLimits/{*}kspace_encoding_step_1", "minimum center maximum"),
}
# One turn in each unit of phase; Siemens stores -4096 … 4095 or, without a sign, 0 … 4095.
TURN = {"rad": 2 * pi, "mrad": 2000 * pi, "degrees": 360.0, "siemens": 8192.0}
# Units, and the ranges that mean them where the phase fills them.
CERTAIN = (("mrad", -1000 * pi, 1000 * pi), ("mrad", 0.0, 2000 * pi), ("siemens", -4096.0, 4096.0))


class Options(TypedDict, total=False):
    """What a file does not say of itself."""

    domain: str
    """What a plain array is: kspace or image; image reads real arrays and lone NIfTI magnitudes, too."""
    axes: str
    """Axes of a plain array, for example slice,coil,row,column; echo and frame count as slices."""
    array: str
    """Name of the array to read in a file that holds several."""
    phase_unit: str
    """Unit of a stored phase: rad, mrad, degrees or siemens."""


class UnreadableFileError(ValueError):
    """A file that is not what its format says, or whose meaning is not certain."""


@dataclass(frozen=True)
class Volume:
    """Slices of one scan in one file; holds no data and no open file, so it can be pickled.

    `key` names the dataset, group or labels within the file, `domain` what `read` gives: centred "kspace", or an
    "image". `shape` is (slices, coils, rows, columns). `info` has what else is known: "undersampled", "fov_mm" and
    "recon_fov_mm" (row, column), "padding" (columns from, to that were acquired), "phase_unit", "partner" (path of the
    phase or imaginary part), "affine" (4 × 4), attributes of fastMRI files.
    """

    path: Path
    format: str
    domain: str
    shape: tuple[int, int, int, int]
    subject: str
    key: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, compare=False)
    reader: Callable[["Volume", int], np.ndarray] = field(kw_only=True, compare=False, repr=False)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int) -> Tensor:
        """Slice `index`, complex64 (coil, row, column); raises UnreadableFileError where it is not finite, or zero."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: slice {index} of {len(self)}")
        with naming(self.path, f"slice {index}: "):
            array = np.array(self.reader(self, index), dtype=np.complex64)
            require(array.shape == self.shape[1:], f"expected {self.shape[1:]}, got {array.shape}")
            require(bool(np.isfinite(array).all()), "holds NaN or infinity")
            require(bool(array.any()), "is zero everywhere")
        return torch.from_numpy(array)


@contextmanager
def naming(path: Path, where: str = "") -> Iterator[None]:
    """Turn every error, also those of `require`, into an UnreadableFileError of one line that names the file."""
    try:
        yield
    except UnreadableFileError:
        raise
    except Exception as error:  # of five parsers, whatever they raise at damaged bytes
        said = " ".join(str(error).split())
        if not said or not isinstance(error, (OSError, ValueError)):
            said = f"{type(error).__name__}: {said}"
        raise UnreadableFileError(f"{path}: {where}{said}") from None


def is_undersampled(volume: Volume, index: int) -> bool:
    """Whether lines of k-space that should be there are missing, or much of it is zero."""
    if volume.domain == "image" or "undersampled" in volume.info:
        return bool(volume.info.get("undersampled", False))
    first, last = volume.info.get("padding", (0, volume.shape[-1]))
    empty = (volume.read(index) == 0).all(0)[:, first:last]
    return bool(empty.float().mean() > UNSAMPLED or empty.all(0).any() or empty.all(1).any())


def require_fully_sampled(volume: Volume, index: int | None = None) -> None:
    """Raise UnreadableFileError where a slice, by default the middle one, is undersampled."""
    index = len(volume) // 2 if index is None else index
    if is_undersampled(volume, index):
        said = "expected fully sampled k-space as a training target, got undersampled: input of a reconstruction only"
        raise UnreadableFileError(f"{volume.path}: slice {index}: {said}")


def crop_fov(kspace: np.ndarray, axis: int, size: int) -> np.ndarray:
    """k-space of the middle `size` pixels of the image along one axis: less field of view."""
    if size == kspace.shape[axis]:
        return kspace
    kept = np.arange(size) + kspace.shape[axis] // 2 - size // 2
    image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(kspace, axis), axis=axis, norm="ortho"), axis).take(kept, axis)
    return np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axis), axis=axis, norm="ortho"), axis)


def parse_header(text: bytes | str) -> list[dict[str, Any]]:
    """For each encoding the numbers of `HEADER` that it has, "trajectory" and "patient"; 3D encodings are an error."""
    from defusedxml import ElementTree

    root = ElementTree.fromstring(text)
    patient, encodings = root.findtext("{*}subjectInformation/{*}patientID"), []
    for encoding in root.iterfind("{*}encoding"):
        known = {"trajectory": encoding.findtext("{*}trajectory"), "patient": patient}
        for name, (kind, parent, children) in HEADER.items():
            texts = [encoding.findtext(f"{parent}/{{*}}{child}") for child in children.split()]
            known |= {} if None in texts else {name: tuple(map(kind, texts))}
        is_2d = {"matrix", "recon_matrix"} <= set(known) and known["matrix"][2] == 1
        require(is_2d, f"header: expected matrix sizes x, y, z of 2D slices, got {known}")
        encodings.append(known)
    require(bool(encodings), "header: expected an encoding, got none")
    return encodings


def readout(header: dict[str, Any], samples: int) -> tuple[int, dict[str, Any]]:
    """Pixels along the readout that are to be reconstructed, and the fields of view of these and of the image."""
    if "fov" in header and "recon_fov" in header:
        (x, y, _), (recon_x, recon_y, _) = header["fov"], header["recon_fov"]
        require(min(x, y, recon_x, recon_y) > 0, f"header: fieldOfView_mm: got {header}")
        kept = min(samples, round(samples * recon_x / x))
        return kept, {"fov_mm": (x * kept / samples, y), "recon_fov_mm": (recon_x, recon_y)}
    encoded, recon = header["matrix"][0], header["recon_matrix"][0]
    got = f"{encoded} encoded and {recon} reconstructed samples may mean oversampling"
    require(encoded == recon, f"header: expected fieldOfView_mm: {got}; arrays:PATH keeps it")
    return samples, {}


def phase_unit(stored: Any, wanted: str | None, slope: float = 1.0, inter: float = 0.0) -> dict[str, Any]:
    """Unit of all phase of a file, which is slope · stored + inter.

    Returns "phase_unit" and "to_rad", factor and offset. Floating-point numbers within ±2π that span at most a turn are
    rad; ranges that are `CERTAIN`, filled to 2 % at both ends, mean their unit. Raises ValueError for others, such as
    0 … 4095 and 0 … 360, and for more than a turn in a unit other than rad, which may be unwrapped.
    """
    low, high = sorted(float(n) * slope + inter for n in (np.min(stored), np.max(stored)))
    dtype = stored.dtype if slope.is_integer() and inter.is_integer() else np.dtype(float)
    got = f"phase: got {dtype} from {low:g} to {high:g}"
    require(isfinite(high - low), f"{got}: NaN or infinity")
    for unit, first, last in CERTAIN:
        gaps = (low - first) / (last - first), (last - high) / (last - first)
        if min(gaps) >= -0.001 and max(gaps) <= 0.02:
            wanted = wanted or unit
    if dtype.kind == "f" and max(-low, high, high - low) <= 2.002 * pi:
        wanted = wanted or "rad"
    require(wanted in TURN, f"{got}, unit {wanted}; say --phase-unit {'|'.join(TURN)}")
    unsigned = wanted == "siemens" and low >= 0
    turn = TURN[str(wanted)] / (2 if unsigned else 1)
    fits = wanted == "rad" or high - low <= 1.001 * turn
    require(fits, f"{got}: more than a turn in --phase-unit {wanted}, {turn:g}")
    return {"phase_unit": wanted, "to_rad": (2 * pi / turn, -pi if unsigned else 0.0)}


def turned(magnitude: np.ndarray, phase: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
    """The complex image of a magnitude and its phase in the file's unit; `info` is of `phase_unit`."""
    factor, offset = info["to_rad"]
    image: np.ndarray = magnitude * np.exp(1j * (phase * factor + offset))
    return image
