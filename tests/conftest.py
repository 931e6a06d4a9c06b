"""Fixtures shared by the tests."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

# The tensors are tiny, and threads that wait for a busy core take a hundred times as long; for processes that tests
# start, too. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import pytest
import torch
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("perpcore", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("perpcore")

ROOT = Path(__file__).parents[1]
TEST_DATA = Path(os.environ.get("PERPCORE_TEST_DATA") or ROOT.parent / "shared" / "data")

NEEDS_BRAINS = pytest.mark.skipif(
    not (find_spec("nilearn") and find_spec("nibabel")), reason="brains need nilearn (extra experiments)"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the notebooks, which take longest, so that workers beside them end at about the same time."""
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")


def complex_tensor(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    """Standard complex Gaussian numbers."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=dtype, generator=generator)


@pytest.fixture
def measured_data() -> Path:
    """Folder of the measured test data; skips where it is not there."""
    if not (TEST_DATA / "larson").is_dir():
        pytest.skip(f"no measured test data in {TEST_DATA} (set PERPCORE_TEST_DATA)")
    return TEST_DATA


@pytest.fixture
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder without results, in which the test works."""
    for name in ("notebooks", "data"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path
