"""Images of any volume: combined, read one by one, described, drawn."""

import io
from pathlib import Path
from typing import Any

from torch import Tensor

from perpcore._files import write_atomically
from perpcore.data.readers.base import UnreadableFileError, Volume, is_undersampled
from perpcore.data.readers.open import combined_image, image_shape, open_file, open_source

KNOWN = ("fov_mm", "recon_fov_mm", "padding", "acquisition", "phase_unit", "partner", "affine")


def read_single(path: Path | str, domain: str, **options: Any) -> Tensor:
    """Centred "kspace", or "image" (a magnitude, too), complex64 (row, column), of a file with one slice of one coil.

    Raises as `open_file`.
    """
    volumes = open_file(path, domain=domain, **options)
    if [v.shape[:2] for v in volumes] != [(1, 1)]:
        found = ", ".join(f"{v.key or 'array'} {v.shape}" for v in volumes)
        raise UnreadableFileError(f"{path}: expected one slice of one coil, got {found}")
    return volumes[0].read(0)[0]


def describe(source: Path | str, *, size: int | None = None, **options: Any) -> str:
    """What a `source` of `open_source` holds and does not say, and what training at matrix `size` makes of it."""
    volumes = open_source(source, **options)
    lines = [f"{source}: volumes: {len(volumes)}, subjects: {len({v.subject for v in volumes})}"]
    for volume in volumes:
        slices, coils, rows, columns = volume.shape
        lines.append(f"{volume.path.name} {volume.key}".strip())
        lines.append(f"  format {volume.format}, {volume.domain}, subject {volume.subject}")
        lines.append(f"  slices {slices}, coils {coils}, rows {rows}, columns {columns}")
        lines += [f"  {name}: {' '.join(str(volume.info[name]).split())}" for name in KNOWN if name in volume.info]
        lines.append(f"  the file does not say: {', '.join(n for n in KNOWN if n not in volume.info)}")
        lines.append(f"  training: {_training(volume, size)}")
    return "\n".join(lines)


def preview(source: Path | str, out: Path | str, **options: Any) -> Path:
    """Draw magnitude and phase of the first volume's middle slice as a PNG; of NIfTI, R, A and S point right and up."""
    from matplotlib.figure import Figure

    from perpcore.plotting import show_magnitude, show_phase

    volume = open_source(source, **options)[0]
    image = combined_image(volume, len(volume) // 2)
    if "affine" in volume.info:
        from nibabel import aff2axcodes

        across, up, _ = aff2axcodes(volume.info["affine"])
        image = image.flip([0] * (up in "RAS") + [1] * (across in "LPI"))
    size, figure, buffer = image.abs(), Figure(figsize=(6, 3), layout="constrained"), io.BytesIO()
    left, right = figure.subplots(1, 2)
    figure.colorbar(show_magnitude(left, image, float(size.quantile(0.998))), label="magnitude (a.u.)")
    figure.colorbar(show_phase(right, image, (size > 0.05 * size.max()).numpy()), label="phase (rad)")
    figure.suptitle(f"{volume.path.name}, slice {len(volume) // 2} of {len(volume)}", fontsize=9)
    figure.savefig(buffer, format="png", dpi=150)
    write_atomically(Path(out), buffer.getvalue())
    return Path(out)


def _training(volume: Volume, size: int | None) -> str:
    (height, width), coils = image_shape(volume), volume.shape[1]
    if is_undersampled(volume, len(volume) // 2):
        return "refused, undersampled; usable as input of a reconstruction"
    if size is not None and min(height, width) < size:
        return f"refused, {height} × {width} is smaller than {size} × {size}"
    steps = ["coils combined"] * (coils > 1) + [f"image {height} × {width}"]
    if size is not None:
        steps.append(f"cropped in k-space to {size} × {size}")
        steps += [f"pixels of shape {height} : {width}"] * (height != width)
    return ", ".join([*steps, "maximum scaled to 1, split by subject"])
