"""Slices per second of the fastMRI reader against the `fastmri` package, and memory of an epoch.

    python benchmarks/reader_throughput.py [--volumes 100]

The files are generated: k-space of (slices, coils, 160, 160), in the layout of fastMRI. Both read
every slice of every volume in random order, in turn, five times.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from side_by_side import extent, machine, ratio, table

from perpcore.data.readers import open_source

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data" / "readers"))
from files import write_fastmri


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=100)
    count = parser.parse_args().volumes
    from fastmri.data import SliceDataset

    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            write_fastmri(Path(folder) / f"v{number:04}.h5", 4, slices=8, rows=160, columns=160)
        volumes = open_source(f"fastmri:{folder}")
        ours = [(v, k) for v in volumes for k in range(len(v))]
        theirs = SliceDataset(Path(folder), "multicoil")
        assert len(ours) == len(theirs)
        order = list(range(len(ours)))
        random.Random(0).shuffle(order)
        rates: dict[str, list[float]] = {"perpcore": [], "fastmri": []}
        memory = []
        for _ in range(5):
            for name in rates:
                began = time.perf_counter()
                for position in order:
                    if name == "perpcore":
                        volume, index = ours[position]
                        pixels = volume.read(index).numpy()
                    else:
                        pixels = theirs[position][0]
                    assert pixels.dtype == np.complex64
                rates[name].append(len(order) / (time.perf_counter() - began))
            memory.append(psutil.Process().memory_info().rss / 1e6)
        print(f"{machine()}; {count} volumes, {len(order)} slices of (4, 160, 160).\n")
        rows = [[name, extent(v, 0), ratio(v, rates["fastmri"])] for name, v in rates.items()]
        table(["reader", "slices/s, median (range)", "over `fastmri`"], rows)
        print(f"Memory after each epoch: {', '.join(f'{m:.0f}' for m in memory)} MB.\n")


if __name__ == "__main__":
    main()
