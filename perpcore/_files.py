"""Where the project lies, and files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def project_root() -> Path:
    """Return the folder that holds notebooks/ and data/: the nearest above the working folder."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / "notebooks").is_dir() and (folder / "data").is_dir():
            return folder
    return here


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or none: to a temporary file beside it, then rename.

    Raises OSError naming `path`: a full disk, a folder that may not be written.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp leaves it to the owner alone
        os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from None
        raise
