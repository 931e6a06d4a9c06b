"""Files that HDF5 would read for ever are refused, and the next file is read as before."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import h5py
import pytest
from readers.files import write_fastmri

from perpcore.data.readers import UnreadableFileError, guard, open_file


def looping(path: Path) -> Path:
    """An attribute in a heap of which an object claims a size that wraps around to nothing."""
    with h5py.File(path, "w") as file:
        file["kspace"] = [[[1 + 1j]]]
        file.attrs["patient_id"] = "P1"
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL") + 16
    content[heap : heap + 2] = b"\x07\x00"  # another object than the one asked for
    content[heap + 8 : heap + 16] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(content)
    return path


def test_a_file_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = tmp_path / "good.h5"
    write_fastmri(good, slices=1)
    assert len(open_file(good)) == 1
    bad = looping(tmp_path / "bad.h5")

    class Impatient(guard.selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list:
            return super().select(2)

    monkeypatch.setattr(guard.selectors, "DefaultSelector", Impatient)
    began = time.perf_counter()
    with pytest.raises(UnreadableFileError, match="bad.h5: damaged: HDF5 (did not|crashed)"):
        open_file(bad)
    assert time.perf_counter() - began < 20
    assert len(open_file(good)) == 1


def test_an_interrupt_is_not_for_the_helper(tmp_path: Path, capfd) -> None:
    path = tmp_path / "good.h5"
    write_fastmri(path, slices=1)
    open_file(path)
    helper = guard._start()
    helper.send_signal(signal.SIGINT)  # as Ctrl-C does to all processes of a terminal
    assert len(open_file(path)) == 1 and guard._start() is helper
    assert "KeyboardInterrupt" not in capfd.readouterr().err


def test_a_helper_that_dies_is_an_error_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "good.h5"
    write_fastmri(path, slices=1)
    guard._stop()
    with monkeypatch.context() as patch:
        patch.setattr(guard, "READ_VARIABLE_LENGTH", "import sys; next(sys.stdin)")
        with pytest.raises(UnreadableFileError, match="good.h5: damaged: HDF5 crashed on it"):
            open_file(path)
    assert len(open_file(path)) == 1
