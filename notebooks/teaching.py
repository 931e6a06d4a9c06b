"""For notebooks: sliders that redraw a figure, and the self-check of the exercises."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping
from fractions import Fraction
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
    tolerance: float = 5e-3,
) -> None:
    """Print whether an answer is right, and why.

    Parameters
    ----------
    answer
        A number, array, tensor, word, or a list of them; or a function without arguments that gives it, whose errors
        are printed. An ellipsis or None anywhere means that the exercise is still open.
    expected
        Its numbers are compared within `tolerance`, relative (0 within 1e-5); words without regard to case.
    why : str
        Printed when the answer is right.
    mistakes : mapping, optional
        What a frequent wrong answer comes from → that answer; an ellipsis in its list stands for anything.
    hint : str
        Printed when the answer is wrong in another way.
    """
    expected = _plain(expected)
    try:
        answer = _plain(answer() if callable(answer) else answer)
    except Exception as error:  # whatever a reader's function raises
        print(f"{WRONG}: expected {_kind(expected)}, got {error!r:.160}. Hint: {hint or 'try again'}")
        return
    if _is_open(answer):
        print(f"{OPEN}: replace each `...`; a function must `return` its result")
    elif _same(answer, expected, tolerance):
        print(f"{RIGHT}: {why}")
    else:
        known = [text for text, value in (mistakes or {}).items() if _same(answer, _plain(value), tolerance)]
        reason = " And ".join(known) or _usual(answer, expected, tolerance) or hint or "try again"
        print(f"{WRONG}{_shown(answer)}: {reason}")


def _png(figure: Figure, alt: str) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    plt.close(figure)
    return buffer.getvalue(), alt


def _tag(png: bytes, alt: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'


def _is_open(answer: Any) -> bool:
    return any(map(_is_open, answer)) if isinstance(answer, list) else answer is None or answer is Ellipsis


def _plain(value: Any) -> Any:
    """Numbers and lists of them become an array, words lower case; a mixed list stays a list."""
    if isinstance(value, str):
        return value.strip().lower()
    if isinstance(value, (list, tuple)):
        items = [_plain(v) for v in value]
        alike = all(isinstance(v, np.ndarray) for v in items) and len({(v.shape, v.dtype == bool) for v in items}) == 1
        return np.stack(items) if alike else items
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().resolve_conj().resolve_neg().numpy()
    array = np.asarray(float(value) if isinstance(value, Fraction) else value)
    if array.dtype.kind in "biufc":
        return array
    return _plain(value.tolist()) if isinstance(value, np.ndarray) else value


def _same(answer: Any, expected: Any, tolerance: float) -> bool:
    if expected is Ellipsis:
        return True
    if isinstance(expected, list):
        items = [*map(np.asarray, answer)] if isinstance(answer, np.ndarray) and answer.ndim else answer
        if not isinstance(items, list) or len(items) != len(expected):
            return False
        return all(_same(a, b, tolerance) for a, b in zip(items, expected))
    if isinstance(expected, np.ndarray) and isinstance(answer, np.ndarray):
        if expected.ndim == 0 and answer.size == 1:
            answer = answer.reshape(())
        alike = answer.shape == expected.shape and (answer.dtype == bool) == (expected.dtype == bool)
        return alike and np.allclose(answer, expected, rtol=tolerance, atol=1e-5)
    return isinstance(answer, str) and isinstance(expected, str) and answer == expected


def _usual(answer: Any, expected: Any, tolerance: float) -> str:
    """Name a mistake that is frequent everywhere."""

    def near(a: Any, b: Any, within: float = tolerance) -> bool:
        return _same(np.asarray(a), np.asarray(b), within)

    if all(isinstance(x, np.ndarray) and x.size and x.dtype != bool for x in (answer, expected)):
        if not np.isfinite(answer).all():
            return "a division by 0, or the logarithm or root of a negative number?"
        if near(-answer, expected):
            return "the sign is wrong."
        if near(np.abs(answer), expected):
            return "the absolute value is missing."
        if answer.size == 1 and near(answer, expected.mean()):
            return "that is the mean of the map; the map is asked."
        if expected.size == 1 and near(answer.mean(), expected):
            return "that is a map; its mean is asked."
        if near(answer, expected, 4 * tolerance):
            return f"close, but not within {100 * tolerance:g} %."
    came, wanted = _kind(answer), _kind(expected)
    return f"expected {wanted}, got {came}." if came != wanted else ""


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a word"
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return "a truth value" if value.dtype == bool else "a number"
        if value.ndim > 1 or value.size > 3:
            return f"an array of shape {value.shape}"
    if isinstance(value, (list, np.ndarray)):
        return f"[{', '.join(_kind(_plain(v)) for v in value)}]"
    return f"an object of type {type(value).__name__}"


def _shown(value: Any) -> str:
    """Say what came; nothing of an array too large to read."""
    if isinstance(value, np.ndarray):
        if value.size > 9:
            return ""
        value = value.tolist() if value.dtype == bool else np.round(value.tolist(), 4).tolist()
    elif isinstance(value, list):
        value = [v.tolist() if isinstance(v, np.ndarray) else v for v in value]
    return f", you have {value!r:.90}"
