"""What an ISMRMRD header says that reconstruction needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from defusedxml import DefusedXmlException, ElementTree

from perpcore.data.readers.base import UnreadableFileError

_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"


def parse_header(text: bytes | str, path: Path) -> dict[str, Any]:
    """Read matrix sizes, fields of view and the columns that were never acquired.

    Returns "encoded_matrix" and "recon_matrix" (x, y, z), "encoded_fov_mm" and "fov_mm" (x, y, z of
    encoded and recon space), "center" (phase-encoding line of DC), "padding" (first and one past
    the last acquired column), each where the header has it. Entity bombs are refused.
    """
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise UnreadableFileError(f"{path}: header: not well-formed, safe XML: {error!r}") from None

    def numbers(place: str, names: str = "x y z") -> tuple[float, ...] | None:
        where = "/".join(_NAMESPACE + part for part in f"encoding/{place}".split("/"))
        texts = [root.findtext(f"{where}/{_NAMESPACE}{name}") for name in names.split()]
        try:
            found = tuple(float(t) for t in texts if t is not None)
        except ValueError:
            raise UnreadableFileError(f"{path}: header: {place}: not numbers: {texts}") from None
        return found if len(found) == len(texts) else None

    known: dict[str, Any] = {}
    for name, space in (("encoded", "encodedSpace"), ("recon", "reconSpace")):
        if matrix := numbers(f"{space}/matrixSize"):
            known[f"{name}_matrix"] = tuple(int(n) for n in matrix)
        if fov := numbers(f"{space}/fieldOfView_mm"):
            known["encoded_fov_mm" if name == "encoded" else "fov_mm"] = fov
    limits = numbers("encodingLimits/kspace_encoding_step_1", "center maximum")
    if limits and "encoded_matrix" in known:
        center, maximum = (int(n) for n in limits)
        left = known["encoded_matrix"][1] // 2 - center
        known |= {"center": center, "padding": (left, left + maximum + 1)}
    return known


def readout_size(info: dict[str, Any], samples: int) -> int:
    """Return the readout's pixels in the recon field of view: without oversampling."""
    encoded, recon = info.get("encoded_fov_mm"), info.get("fov_mm")
    if encoded and recon and 0 < recon[0] < 0.99 * encoded[0]:
        return int(round(samples * recon[0] / encoded[0]))
    if not (encoded and recon) and "recon_matrix" in info:
        return min(samples, int(info["recon_matrix"][0]))
    return samples
