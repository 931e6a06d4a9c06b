"""Sliders redraw the picture; batch runs show the picture alone."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib import pyplot as plt

from perpcore import interactive


def draw(size: float, loss: str) -> tuple[plt.Figure, str]:
    fig, ax = plt.subplots()
    ax.bar([loss], [size])
    return fig, f'{loss} "{size:g}"'


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(
        interactive, "display", lambda data, metadata, raw: calls.append((data, metadata))
    )
    return calls


def test_moving_a_slider_changes_the_picture_and_its_text(
    shown: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ipywidgets")
    monkeypatch.delenv("PERPCORE_STATIC", raising=False)
    size = interactive.slider("size", 0, 2, 1, 0.1)
    loss = interactive.choice("loss", {"ℓ2": "l2", "⊥": "perp"}, "l2")
    interactive.explore(draw, size=size, loss=loss)
    data, metadata = shown[0]
    view = data["application/vnd.jupyter.widget-view+json"]
    from ipywidgets.widgets.widget import _instances

    box = _instances[view["model_id"]]
    picture = box.children[-1]
    first = picture.value
    assert metadata["image/png"]["alt"] == 'l2 "1"' and "image/png" in data
    size.value = 1.5
    assert picture.value != first and "l2 &quot;1.5&quot;" in picture.value
    second = picture.value
    loss.value = "perp"
    assert picture.value != second and "perp" in picture.value
    assert not plt.get_fignums()


def test_batch_runs_show_the_picture_alone(shown: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPCORE_STATIC", "1")
    control = interactive.slider("size", 0, 2, 1, 0.1)
    loss = interactive.choice("loss", {"ℓ2": "l2"}, "l2")
    interactive.explore(draw, size=control, loss=loss)
    assert set(shown[0][0]) == {"text/plain", "image/png"}
