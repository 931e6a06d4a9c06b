"""What an ISMRMRD header says that reconstruction needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from defusedxml import DefusedXmlException, ElementTree

from perpcore.data.readers.volumes import UnreadableFileError

_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"


def parse_header(text: bytes | str, path: Path) -> dict[str, Any]:
    """Matrix sizes, field of view and the columns that were never acquired.

    Returns "encoded_matrix" and "recon_matrix" (x, y, z), "fov_mm" (x, y, z of the encoded space),
    "center" (phase-encoding line of DC), "padding" (left, right: columns outside were not
    acquired), each where the header has it. A parser that refuses entity bombs reads it.
    """
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise UnreadableFileError(f"{path}: header: not well-formed, safe XML: {error!r}") from None

    def numbers(place: str, names: str = "xyz") -> tuple[float, ...] | None:
        where = "/".join(_NAMESPACE + part for part in place.split("/"))
        texts = [root.findtext(f"{where}/{_NAMESPACE}{name}") for name in names.split()]
        try:
            return tuple(float(t) for t in texts if t is not None) or None
        except ValueError:
            raise UnreadableFileError(f"{path}: header: {place}: not numbers: {texts}") from None

    known: dict[str, Any] = {}
    for name, place in (("encoded_matrix", "encodedSpace/matrixSize"),
                        ("recon_matrix", "reconSpace/matrixSize")):  # fmt: skip
        found = numbers(f"encoding/{place}", "x y z")
        if found:
            known[name] = tuple(int(n) for n in found)
    fov = numbers("encoding/encodedSpace/fieldOfView_mm", "x y z")
    if fov:
        known["fov_mm"] = fov
    limits = numbers("encoding/encodingLimits/kspace_encoding_step_1", "center maximum")
    if limits and len(limits) == 2 and "encoded_matrix" in known:
        center, maximum = (int(n) for n in limits)
        left = known["encoded_matrix"][1] // 2 - center
        known |= {"center": center, "padding": (left, left + maximum + 1)}
    return known
