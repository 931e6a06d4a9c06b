"""Fetching: whole files of the right hash, or nothing; from a server on this machine."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from perpcore.data.readers import fetch, find_measured

CONTENT = bytes(range(256)) * 400


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT whole, cut short, altered, or not at all, by the folder asked for."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "gone":
            self.send_error(404)
            return
        body = CONTENT[:-1] + b"?" if kind == "altered" else CONTENT
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind == "cut" else body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(fetch, "project_root", lambda: tmp_path)
    known = (*fetch.SOURCES["head"][:2], hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(fetch.SOURCES, "head", known)
    return tmp_path / "data" / "measured"


def test_fetches_once(server, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("PERPCORE_MIRROR", f"{server}/whole")
    assert fetch.fetch("head") == folder / "se_t1_sag_data.mat"
    assert (folder / "se_t1_sag_data.mat").read_bytes() == CONTENT
    monkeypatch.setenv("PERPCORE_MIRROR", "http://127.0.0.1:9")  # nobody there, nor needed
    assert fetch.fetch("head").exists()


@pytest.mark.parametrize("kind", ["altered", "cut", "gone"])
def test_failures_leave_nothing_behind(server, folder: Path, monkeypatch, kind: str) -> None:
    monkeypatch.setenv("PERPCORE_MIRROR", f"{server}/{kind}")
    with pytest.raises(OSError, match=f"{server}/{kind}/se_t1_sag_data.mat: could not be fetched"):
        fetch.fetch("head")
    assert not list(folder.glob("*"))


def test_offline_says_what_to_do(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("PERPCORE_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(OSError, match=f"Without internet: put se_t1_sag_data.mat into {folder}"):
        fetch.fetch("head")
    with pytest.raises(ValueError, match="name: expected one of head, brain, got 'liver'"):
        fetch.fetch("liver")


def test_without_pooch_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ValueError, match="fetching needs pooch: pip install pooch"):
        fetch.fetch("head")


def test_addresses_are_those_of_the_measured_test_files(measured_data: Path) -> None:
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
             for p in [*measured_data.glob("larson/*.mat"), *measured_data.glob("sigpy/*.npy")]}  # fmt: skip
    assert found == {file: sha256 for file, _, sha256 in fetch.SOURCES.values()}


def test_finds_the_slice_where_the_user_says(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PERPCORE_MEASURED", str(tmp_path / "mine.npy"))
    assert find_measured() == tmp_path / "mine.npy"
    monkeypatch.delenv("PERPCORE_MEASURED")
    monkeypatch.setenv("PERPCORE_TEST_DATA", str(tmp_path))
    monkeypatch.setattr(fetch, "project_root", lambda: tmp_path)
    assert find_measured() is None
    (tmp_path / "larson").mkdir()
    (tmp_path / "larson" / "se_t1_sag_data.mat").write_bytes(b"1")
    assert find_measured() == tmp_path / "larson" / "se_t1_sag_data.mat"
