"""Which code made a result: results of code that has changed since are not used again."""

from __future__ import annotations

import hashlib
import io
import tokenize
from functools import lru_cache
from pathlib import Path

import perpcore

NO_INFLUENCE = frozenset(
    f"{name}.py"
    for name in (
        "__init__", "claims", "cli", "execute", "exercises", "files", "grid", "interactive",
        "inventory", "landscape", "plotting", "pool", "pretrained", "runs",
        "shipping", "sources", "statistics", "store",
    )
)  # fmt: skip
"""Modules that only name, keep, start or show what a run gives. A new module counts."""

_IGNORED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_LAYOUT = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


@lru_cache(maxsize=2)
def source_hash(*, readers: bool = False) -> str:
    """Hash of the code that a result depends on, for measured data with that of the readers.

    Comments, docstrings and the layout of lines do not count.
    """
    package = Path(perpcore.__file__).parent
    files = [p for p in package.glob("*.py") if p.name not in NO_INFLUENCE]
    files += (package / "readers").glob("*.py") if readers else []
    parts = [[p.relative_to(package).as_posix(), *_meaning(p.read_text())] for p in sorted(files)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _meaning(text: str) -> list[str]:
    """Tokens without comments and docstrings."""
    found: list[str] = []
    starts_line = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _IGNORED:
            continue
        if token.type in _LAYOUT:
            # What follows a docstring's line is no second line.
            if token.type != tokenize.NEWLINE or not starts_line:
                found.append(tokenize.tok_name[token.type])
            starts_line = True
            continue
        if token.type == tokenize.STRING and starts_line:
            continue
        found.append(
            "".join(token.string.split()) if token.type != tokenize.STRING else token.string
        )
        starts_line = False
    return found
