"""Files that are whole or not there, and that show damage."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


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
        os.chmod(name, 0o666 & ~_umask())  # mkstemp leaves it to the owner alone
        os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def seal(payload: bytes) -> bytes:
    """The bytes with their SHA-256 behind them; HDF5 and others ignore what follows their end."""
    return payload + hashlib.sha256(payload).digest()


def unseal(content: bytes) -> bytes | None:
    """What was sealed, or None where a bit of it has changed."""
    return content[:-32] if seal(content[:-32]) == content else None
