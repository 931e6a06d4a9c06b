"""What `perpcore data inspect` says of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from readers.files import random_kspace, write_fastmri

from perpcore import cli
from perpcore.data.readers import inspect, open_file


def test_describes_and_draws(tmp_path: Path, capsys) -> None:
    write_fastmri(tmp_path / "v.h5", 3)
    cli.data("inspect", str(tmp_path / "v.h5"), preview=str(tmp_path / "p.png"))
    text = capsys.readouterr().out
    assert "v.h5: fastmri, 1 volume\n" in text
    assert "kspace: kspace, 3 slices, 3 coils, 24 × 20, subject p7" in text
    assert "fov_mm: (440.0, 220.0, 5.0)" in text and "the file does not say: mask" in text
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (900, 450)


def test_images_of_every_domain_are_single(tmp_path: Path, measured_data: Path) -> None:
    np.save(tmp_path / "a.npy", random_kspace(1, 8, 8))
    for path in (tmp_path / "a.npy", measured_data / "abdomen_gre.h5"):
        volume = open_file(path)[0]
        assert inspect.combined_image(volume, 0).shape == volume.shape[-2:]
