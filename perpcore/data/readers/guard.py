"""HDF5 files are tried in a process that can be ended: damage makes libhdf5 loop for ever."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
from pathlib import Path
from threading import Lock

from perpcore.data.readers.volumes import UnreadableFileError

READ_VARIABLE_LENGTH = """
import json, signal, sys, h5py

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks

def read(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset) and item.dtype.hasobject:
        for first in range(0, len(item) if item.ndim else 1, 64):
            item[first : first + 64] if item.ndim else item[()]

for line in sys.stdin:
    try:
        with h5py.File(json.loads(line), "r") as file:
            read("", file)
            file.visititems(read)
    except Exception:
        pass  # the reader will say it better
    print("read", flush=True)
"""
"""What loops is the heap of variable-length data: attributes, headers, the lines of MRD."""

_lock = Lock()
_helper: tuple[int, subprocess.Popen[str]] | None = None


def require_bounded(path: Path) -> None:
    """Raise UnreadableFileError where HDF5 does not come back from the file, or dies of it.

    A millisecond for a file without MRD's lines, after half a second for the first.
    """
    limit = 20 + path.stat().st_size / 10e6
    with _lock:
        helper = _start()
        assert helper.stdin is not None and helper.stdout is not None
        helper.stdin.write(json.dumps(str(path.absolute())) + "\n")
        helper.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(helper.stdout, selectors.EVENT_READ)
            answered = selector.select(limit)
        if answered and helper.stdout.readline():
            return
        _stop()
    what = "HDF5 crashed on it" if answered else f"HDF5 did not get through it in {limit:.0f} s"
    raise UnreadableFileError(f"{path}: damaged: {what}")


def _start() -> subprocess.Popen[str]:
    """The helper of this process; a forked one needs its own."""
    global _helper
    if _helper is None or _helper[0] != os.getpid() or _helper[1].poll() is not None:
        command = [sys.executable, "-c", READ_VARIABLE_LENGTH]
        pipe = subprocess.PIPE
        _helper = os.getpid(), subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    return _helper[1]


@atexit.register
def _stop() -> None:
    global _helper
    if _helper is not None and _helper[0] == os.getpid():
        with _helper[1] as helper:
            helper.kill()
    _helper = None
