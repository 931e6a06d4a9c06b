"""Files are whole or not there: full disks, folders that refuse."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from perpcore._files import project_root, write_atomically


def test_new_files_get_the_usual_permissions(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file"
    write_atomically(path, b"one")
    (tmp_path / "plain").write_bytes(b"")
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"cannot be written: No space.*{path}"):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_write_that_the_kernel_stops_leaves_the_old_file(tmp_path: Path) -> None:
    """No simulation: past the limit the kernel refuses the bytes, as on a full disk."""
    path = tmp_path / "file"
    write_atomically(path, b"one")
    script = """
        import resource, signal, sys
        from pathlib import Path
        from perpcore._files import write_atomically
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        write_atomically(Path(sys.argv[1]), bytes(100_000))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), path], capture_output=True, text=True)
    assert done.returncode != 0 and f"File too large: '{path}'" in done.stderr
    assert path.read_bytes() == b"one"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of somebody who may not write everywhere, as root may."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        os.seteuid(os.getuid())


def test_a_read_only_folder_is_named(unprivileged: Path) -> None:
    path = unprivileged / "file"
    write_atomically(path, b"one")
    unprivileged.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    with pytest.raises(PermissionError, match=str(path)):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"
    assert [p.name for p in unprivileged.iterdir()] == ["file"]


def test_the_project_is_the_nearest_folder_with_notebooks_and_module(empty_project: Path) -> None:
    assert project_root() == empty_project
    (empty_project / "notebooks" / "deeper").mkdir()
    os.chdir(empty_project / "notebooks" / "deeper")
    assert project_root() == empty_project
