"""Settings of `make docs`. The build needs no network connection."""

from __future__ import annotations

import inspect
import re
import warnings

import matplotlib as mpl
from cycler import cycler

import skfer
from skfer.inspection._plotting import COLORS

# The style of all plots. sphinx-gallery restores these defaults before each example.
mpl.rcParamsDefault.update(
    {
        "axes.prop_cycle": cycler(color=COLORS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": "medium",
        "font.size": 11,
    }
)
mpl.rcdefaults()
mpl.use("Agg")
# Warnings in outputs, without the paths of the machine that built the page.
warnings.formatwarning = lambda message, category, *_, **__: f"{category.__name__}: {message}\n"

project = "skfer"
author = "The skfer developers"
copyright = f"2026, {author}"
version = release = skfer.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**/*.md5"]
# `FaceCropper` in a docstring links to its page if there is one; otherwise it is code.
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more, with shapes
numpydoc_show_class_members = False  # the template of a class lists them
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": ["../examples", "../benchmarks/pages"],
    "gallery_dirs": ["gallery", "benchmarks"],
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"demo\.py|__init__\.py",
    "doc_module": ("skfer",),
    "backreferences_dir": "api/backreferences",
    "show_signature": False,
    "download_all_examples": False,
    "matplotlib_animations": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "skfer"
html_static_path = ["_static"]
html_css_files = ["skfer.css"]
html_favicon = html_logo = "../skfer/web/static/icon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skfer"},
    "show_prev_next": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "faq": [], "responsible_use": []}

# Inherited methods: their docstrings refer to labels of scikit-learn's documentation.
_INHERITED = re.compile(r"set_\w+_request|get_metadata_routing|[gs]et_params")


def _skip_inherited(app, what, name, member, skip, options):
    module = getattr(inspect.unwrap(member) if callable(member) else member, "__module__", "") or ""
    if module.startswith(("sklearn.", "keras.")) or _INHERITED.fullmatch(name):
        return True
    return None


def setup(app):
    app.connect("autodoc-skip-member", _skip_inherited)
