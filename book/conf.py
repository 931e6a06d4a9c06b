"""Configuration of the rendered book; `make book` builds it from a staged copy (see build.py)."""

import re

project = "The ⊥-loss companion"
author = "the perpcore authors"
copyright = "MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx-mathjax-offline"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
html_theme = "sphinx_book_theme"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_title = project
html_theme_options = {"show_toc_level": 2, "use_download_button": False, "navbar_persistent": []}
html_show_sphinx = False


def escape(app, what, name, obj, options, lines):
    """|Y| and *space are themselves in our docstrings, not reStructuredText."""
    formula = False
    for number, line in enumerate(lines):
        if line.lstrip().startswith(".. math::"):
            formula = True
        elif formula and line.strip() and not line.startswith("    "):
            formula = False
        if not formula and ":math:" not in line:
            parts = re.split(r"(\*\w[\w ]*\w\*)", line.replace("|", r"\|"))  # *emphasis* stays
            parts[::2] = [part.replace("*", r"\*") for part in parts[::2]]
            lines[number] = "".join(parts)


def setup(app):
    """Before napoleon adds its own markup."""
    app.connect("autodoc-process-docstring", escape, priority=400)
