"""Sphinx: MyST pages, docstrings in Google style, llms.txt. Warnings are errors in CI."""

import re
from importlib.metadata import version as installed

project = "Punie"
author = "Punie maintainers"
project_copyright = "2026, Punie maintainers"
version = release = installed("punie")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_llms_txt",
]
exclude_patterns = ["_build"]

# Single backticks in docstrings link when they name an object and are code otherwise.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "show-inheritance": True,
}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A plain word such as `type` may be the name of several fields.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"Punie {release}"
html_copy_source = True
llms_txt_summary = "Punie, a tiny Python coding agent for local models that lives in the IDE."


def _code_with_colons(_app, _what, _name, _obj, _options, lines):
    """Keep `a:b` as code: napoleon would take what stands before the colon for a type."""
    lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?!`)", _literal, line) for line in lines]


def _literal(match):
    return f"``{match[1]}``" if ":" in match[1] else match[0]


def setup(app):
    """Runs before napoleon, whose handler has priority 500."""
    app.connect("autodoc-process-docstring", _code_with_colons, priority=400)
