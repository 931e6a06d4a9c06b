"""Where the project lies, and files that are written whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path


def project_root() -> Path:
    """Return the folder that holds notebooks/ and data/: the nearest above the working folder."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / "notebooks").is_dir() and (folder / "data").is_dir():
            return folder
    return here


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or none: to a temporary file beside it, then rename; raises OSError naming `path`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
