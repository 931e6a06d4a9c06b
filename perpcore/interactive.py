"""Sliders that redraw a figure, and the figure alone where nothing can answer a slider.

Batch runs (`perpcore figures`) set PERPCORE_STATIC, so that committed notebooks, the book and code
hosts show the picture and no widget.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Callable
from typing import Any

from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def slider(label: str, low: float, high: float, start: float, step: float) -> Any:
    """A labelled ipywidgets slider."""
    import ipywidgets

    style, layout = {"description_width": "9em"}, ipywidgets.Layout(width="32em")
    return ipywidgets.FloatSlider(
        start, min=low, max=high, step=step, description=label, style=style, layout=layout
    )


def choice(label: str, options: dict[str, str], start: str) -> Any:
    """A labelled ipywidgets menu; `options` maps what is shown to the value."""
    import ipywidgets

    style = {"description_width": "9em"}
    return ipywidgets.Dropdown(
        options=list(options.items()), value=start, description=label, style=style
    )


def explore(draw: Callable[..., tuple[Figure, str]], **controls: Any) -> None:
    """Show the figure of `draw`, drawn again whenever one of `controls` is moved.

    `draw` takes the controls' values by name and returns a figure and its alternative text. Errors
    of `draw` appear where they arise; the picture shown before them stays.
    """
    start = {name: control.value for name, control in controls.items()}
    figure, alt = draw(**start)
    static = _png(figure)
    bundle: dict[str, Any] = {"text/plain": alt, "image/png": base64.b64encode(static).decode()}
    if not os.environ.get("PERPCORE_STATIC"):
        import ipywidgets

        picture = ipywidgets.HTML(_tag(static, alt))

        def redraw(_change: Any) -> None:
            figure, alt = draw(**{name: control.value for name, control in controls.items()})
            picture.value = _tag(_png(figure), alt)

        for control in controls.values():
            control.observe(redraw, "value")
        box = ipywidgets.VBox([*controls.values(), picture])
        view = "application/vnd.jupyter.widget-view+json"
        bundle[view] = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    plt.close(figure)
    return buffer.getvalue()


def _tag(png: bytes, alt: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
