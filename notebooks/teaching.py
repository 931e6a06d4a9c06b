"""For notebooks: sliders that redraw a figure, and the self-check of the exercises."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

RIGHT, WRONG, OPEN = "✔ right", "✘ not right", "○ not answered yet"


def slider(label: str, low: float, high: float, start: float, step: float) -> Any:
    """Return a labelled ipywidgets slider."""
    import ipywidgets

    style, layout = {"description_width": "9em"}, ipywidgets.Layout(width="32em")
    return ipywidgets.FloatSlider(start, min=low, max=high, step=step, description=label, style=style, layout=layout)


def choice(label: str, options: dict[str, str], start: str) -> Any:
    """Return a labelled ipywidgets menu; `options` maps what is shown to the value."""
    import ipywidgets

    return ipywidgets.Dropdown(
        options=list(options.items()), value=start, description=label,
        style={"description_width": "9em"},
    )  # fmt: skip


def explore(draw: Callable[..., tuple[Figure, str]], *, widgets: bool, **controls: Any) -> None:
    """Show the figure of `draw`, and draw it again whenever one of `controls` is moved.

    Parameters
    ----------
    draw : callable
        Takes the controls' values by name; returns a figure and its alternative text.
    widgets : bool
        False shows the picture alone: for batch runs, the book and code hosts, where no kernel
        answers a slider.
    """
    png, alt = _png(*draw(**{name: control.value for name, control in controls.items()}))
    bundle: dict[str, Any] = {"text/plain": alt, "image/png": base64.b64encode(png).decode()}
    if widgets:
        import ipywidgets

        picture = ipywidgets.HTML(_tag(png, alt))

        def redraw(_change: Any) -> None:
            values = {name: control.value for name, control in controls.items()}
            picture.value = _tag(*_png(*draw(**values)))

        for control in controls.values():
            control.observe(redraw, "value")
        box = ipywidgets.VBox([*controls.values(), picture])
        view = "application/vnd.jupyter.widget-view+json"
        bundle[view] = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)


def check(
    answer: Any,
    expected: Any,
    why: str,
    *,
    mistakes: Mapping[str, Any] | None = None,
    hint: str = "",
    tolerance: float = 1e-3,
) -> None:
    """Print whether an answer is right, and why.

    Parameters
    ----------
    answer, expected
        Numbers, arrays, tensors or lists of them, compared within `tolerance` (relative, and
        absolute near 0); or words, compared without regard to case. An ellipsis or None anywhere
        in `answer` means that the exercise is still open.
    why : str
        Printed when the answer is right.
    mistakes : mapping, optional
        What a frequent wrong answer comes from → that answer.
    hint : str
        Printed when the answer is wrong in another way.
    """
    if _is_open(answer):
        print(OPEN)
    elif _same(answer, expected, tolerance):
        print(f"{RIGHT}: {why}")
    else:
        known = [text for text, value in (mistakes or {}).items() if _same(answer, value, tolerance)]
        print(f"{WRONG}, you have {_plain(answer)}: {known[0] if known else hint or 'try again'}")


def _png(figure: Figure, alt: str) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    plt.close(figure)
    return buffer.getvalue(), alt


def _tag(png: bytes, alt: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'


def _is_open(answer: Any) -> bool:
    if isinstance(answer, (list, tuple)):
        return any(map(_is_open, answer))
    return answer is None or answer is Ellipsis


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    value = _array(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return np.round(value, 4).tolist()
    return round(value, 4) if isinstance(value, float) else value


def _same(answer: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, str):
        return isinstance(answer, str) and answer.strip().lower() == expected.lower()
    try:
        a, b = np.asarray(_array(answer)), np.asarray(_array(expected))
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))
    except (TypeError, ValueError):
        return False


def _array(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_array(v) for v in value]
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
