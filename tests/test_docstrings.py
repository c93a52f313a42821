"""Docstrings of public names: parameters, shapes, errors and examples.

These checks of `numpydoc.validate` are not used:

- ES01, SA01: extended summaries and See Also sections are optional.
- EX01: accepts a heading as an example. `check_example` requires a line that is run in the examples
  of classes and functions; methods need no example.
- PR07, RT03: descriptions are optional if the name, the type and the shape are clear.
- PR08, RT04, RT05: a description may begin with code (uint8) and end with a list.
- SS05: counts any first word that ends with s as a verb ("Faces of ...").

`check_types` replaces PR04 (no type): "As in `name`" is enough if `name` has the type.
"""

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate
from sklearn.exceptions import NotFittedError

from skfer import GrayscaleResizer

PACKAGES = (
    *("datasets", "detection", "distributed", "evaluation", "inspection", "metrics"),
    *("model_selection", "networks", "persistence", "preprocessing", "recognition"),
    *("video", "web"),
)
IGNORED = {"ES01", "SA01", "EX01", "PR07", "PR08", "RT03", "RT04", "RT05", "SS05"}
# Examples that are not run: they need FER2013, need a cluster, or do not end.
NOT_RUN = {
    *("skfer.datasets.load_fer2013", "skfer.datasets.load_ferplus"),
    *("skfer.model_selection.fer2013_split", "skfer.distributed.on_dask"),
    *("skfer.distributed.predict_folder", "skfer.web.serve"),
}
# Errors for invalid arguments.
ERRORS = {
    error.__name__: error for error in (ValueError, TypeError, FileNotFoundError, NotFittedError)
}
# Types that need a shape, and descriptions of a shape.
ARRAY = re.compile(r"\barray|ndarray|tensor\b|\bbatch\b")
SHAPE = re.compile(r"\bshape \(|\bof (n|k|n_train) ")


def public_names():
    names = {}
    for package in ("skfer", *(f"skfer.{name}" for name in PACKAGES)):
        module = importlib.import_module(package)
        for name in module.__all__:
            public = getattr(module, name)
            if inspect.isclass(public) or inspect.isfunction(public):
                names.setdefault(public, f"{package}.{name}")
    return {name: public for public, name in names.items()}


NAMES = public_names()


def methods(cls):
    for name in dir(cls):
        base = next(base for base in cls.__mro__ if name in vars(base))
        attribute = vars(base)[name]
        method = getattr(attribute, "__func__", attribute)  # of a classmethod
        is_method = inspect.isfunction(method) or isinstance(method, property)
        is_keras = any(
            name in vars(base) for base in cls.__mro__ if base.__module__.startswith("keras.")
        )
        if is_method and not name.startswith("_") and not is_keras and is_skfer(base):
            yield name, method


def is_skfer(obj):
    return obj.__module__.partition(".")[0] == "skfer"


class FieldValidator(Validator):
    """Validator that accepts fields, documented as attributes, as parameters."""

    def __init__(self, obj_name):
        super().__init__(get_doc_object(obj_name))

    @property
    def doc_all_parameters(self):
        documented = super().doc_all_parameters
        for name, description in self._doc_parameters(["Attributes"]).items():
            if name in field_names(self.obj):
                documented[name] = description
        return documented

    @property
    def signature_parameters(self):
        if getattr(self.obj, "_is_protocol", False):
            return ()
        return tuple(name for name in super().signature_parameters if not name.startswith("_"))


def field_names(cls):
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    return getattr(cls, "_fields", ())


def check(name, obj, cls=None):
    doc = get_doc_object(obj)
    errors = validate(obj, validator_cls=FieldValidator)["errors"]
    problems = [text for code, text in errors if code not in {*IGNORED, "PR04"}]
    problems += [*check_types(doc, cls), *check_shapes(doc), *check_raises(doc, obj, cls)]
    if cls is None:
        problems += check_example(name, doc)
    if inspect.isclass(obj):
        for method_name, method in methods(obj):
            problems += [
                f"{method_name}: {text}" for text in check(f"{name}.{method_name}", method, cls=obj)
            ]
    return problems


def check_types(doc, cls):
    for parameter in doc["Parameters"]:
        if not parameter.type:
            reference = re.match(r"As (?:in|for) `([\w.]+)`", " ".join(parameter.desc))
            typed = typed_parameters(reference[1], cls) if reference else ()
            for name in parameter.name.split(", "):
                if name not in typed:
                    yield f"{name} has no type" + (f" in {reference[1]}" if reference else "")


def typed_parameters(name, cls):
    owner, _, attribute = name.rpartition(".")
    obj = getattr(cls, name, None)
    for full_name, public in NAMES.items():
        if f".{full_name}".endswith(f".{name}"):
            obj = public
        elif owner and full_name.endswith(f".{owner}"):
            obj = getattr(public, attribute)
    parameters = get_doc_object(obj)["Parameters"] if obj else ()
    return {name for one in parameters if one.type for name in one.name.split(", ")}


def check_shapes(doc):
    for section in ("Parameters", "Attributes", "Returns", "Yields"):
        for name, kind, description in doc[section]:
            if ARRAY.search(kind) and not SHAPE.search(" ".join([kind, *description])):
                yield f"{section}: {name or 'the value'} is {kind!r} and has no shape"


def check_raises(doc, obj, cls):
    sections = doc["Raises"] + (get_doc_object(cls)["Raises"] if cls else [])
    names = {name for section in sections for name in (section.type or section.name).split(", ")}
    documented = tuple(ERRORS[name] for name in names if name in ERRORS)
    for error, source in raised_errors(obj, cls).items():
        if not issubclass(ERRORS[error], documented):
            yield f"{error}, raised in {source}, is not documented"


def raised_errors(obj, cls):
    if not inspect.isclass(obj):
        return raised_by(obj, cls)
    methods = ("__init__", "__post_init__", "__call__")
    errors = [raised_by(inspect.getattr_static(obj, name, None), obj) for name in methods]
    return {error: source for sources in errors for error, source in sources.items()}


def raised_by(function, owner, known=()):
    """Return errors raised outside `try` by a function and the functions that it calls."""
    function = getattr(function, "fget", getattr(function, "__func__", function))
    function = inspect.unwrap(function) if inspect.isfunction(function) else None
    if function is None or function in known or not is_skfer(function):
        return {}
    if function.__code__.co_filename.startswith("<"):  # of a dataclass
        return {}
    errors, nodes = {}, [ast.parse(textwrap.dedent(inspect.getsource(function)))]
    while nodes:
        node = nodes.pop()
        children = list(ast.iter_child_nodes(node))
        nodes += [one for one in children if not (isinstance(node, ast.Try) and one in node.body)]
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Raise):
            name = getattr(getattr(node.exc, "func", node.exc), "id", None)
            if name in ERRORS:
                errors.setdefault(name, f"{function.__module__}.{function.__qualname__}")
        elif isinstance(called, ast.Name):
            errors |= raised_by(function.__globals__.get(called.id), None, (*known, function))
        elif isinstance(called, ast.Attribute) and getattr(called.value, "id", None) == "self":
            method = inspect.getattr_static(owner, called.attr, None) if owner else None
            errors |= raised_by(method, owner, (*known, function))
    return errors


def check_example(name, doc):
    prompts = [line for line in doc["Examples"] if line.lstrip().startswith(">>>")]
    if not prompts:
        yield "No example"
    elif name not in NOT_RUN and all("+SKIP" in line for line in prompts):
        yield "No line of the example is run"


@pytest.mark.parametrize("name", NAMES)
def test_docstring(name):
    assert not check(name, NAMES[name])


def halve(image, threshold):
    """Halve an image.

    Parameters
    ----------
    image : ndarray

    Returns
    -------
    ndarray of shape (H, W)
    """
    return image / 2


def test_invalid_docstring():
    assert check("halve", halve) == [
        "Parameters {'threshold'} not documented",
        "Parameters: image is 'ndarray' and has no shape",
        "No example",
    ]


def test_errors_raised_by_calls_and_methods():
    undocumented = get_doc_object(halve)
    (problem,) = check_raises(undocumented, GrayscaleResizer.transform, GrayscaleResizer)
    assert re.fullmatch(r"ValueError, raised in skfer\.\S+, is not documented", problem)
    tags = GrayscaleResizer.__sklearn_tags__
    assert not [*check_raises(undocumented, tags, GrayscaleResizer)]
