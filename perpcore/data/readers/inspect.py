"""What a file is: a description in words, and a picture of its middle slice."""

from __future__ import annotations

import io
from pathlib import Path

from torch import Tensor

from perpcore._files import write_atomically
from perpcore.data.coils import sense_adjoint, walsh_csm
from perpcore.data.kspace import ifft2c
from perpcore.data.readers.volumes import Volume, open_file


def describe(path: Path | str, format: str = "auto") -> str:
    """Format, shapes, what the file says of itself, and what it does not say."""
    volumes = open_file(path, format)
    lines = [f"{path}: {volumes[0].format}, {len(volumes)} volume{'s' * (len(volumes) > 1)}"]
    for volume in volumes:
        slices, coils, rows, columns = volume.shape
        name = f"{volume.key}: " if volume.key else ""
        lines.append(
            f"  {name}{volume.domain}, {slices} slices, {coils} coils, {rows} × {columns}, "
            f"subject {volume.subject}"
        )
    known = {k: v for k, v in volumes[0].info.items() if v is not None}
    lines += [f"  {name}: {value}" for name, value in known.items()]
    missing = [name for name in ("fov_mm", "padding", "mask", "acquisition") if name not in known]
    lines.append(f"  the file does not say: {', '.join(missing) or 'nothing is missing'}")
    return "\n".join(lines)


def combined_image(volume: Volume, index: int) -> Tensor:
    """Slice as one complex image (row, column); coils by adaptive combination."""
    data = volume.read(index)
    if volume.domain == "image":
        return data[0]
    if len(data) == 1:
        return ifft2c(data)[0]
    calibration = min(24, *data.shape[-2:])
    return sense_adjoint(data, walsh_csm(data, calibration))


def preview(path: Path | str, out: Path, format: str = "auto") -> Path:
    """Write magnitude and phase of the middle slice of the first volume as a PNG."""
    from matplotlib.figure import Figure

    from perpcore import plotting

    volume = open_file(path, format)[0]
    index = len(volume) // 2
    image = combined_image(volume, index)
    size = image.abs()
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots(1, 2)
    left = plotting.show_magnitude(axes[0], image, float(size.quantile(0.998)))
    right = plotting.show_phase(axes[1], image, (size > 0.05 * size.max()).numpy())
    figure.colorbar(left, ax=axes[0], label="magnitude (a.u.)")
    figure.colorbar(right, ax=axes[1], label="phase (rad)")
    figure.suptitle(f"{Path(path).name}, slice {index} of {len(volume)}", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_atomically(out, buffer.getvalue())
    return out
