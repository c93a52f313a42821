"""Every public name says what it takes, gives and refuses, and shows a use that runs.

Of numpydoc's checks (`numpydoc.validate`) these are left out:

- ES01, SA01: more than a summary, and a See Also, stand where they help.
- EX01: takes a heading for an example. `without_example` wants a line that is run, of classes and
  functions; methods are shown by the example of their class.
- PR07, RT03: no description where the name, the type and the shape say it all.
- PR08, RT04, RT05: a description may begin with code (uint8), and end in a list.
- SS05: takes any first word that ends in s for a verb ("Faces of ...").

PR04 (no type) is `without_type`: "As in `name`" does, where `name` has the parameter with a type.
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
LEFT_OUT = {"ES01", "SA01", "EX01", "PR07", "PR08", "RT03", "RT04", "RT05", "SS05"}
# Examples that are read only.
NOT_RUN = {
    "skfer.datasets.load_fer2013": "FER2013 is not ours to give out",
    "skfer.datasets.load_ferplus": "FER2013 is not ours to give out",
    "skfer.model_selection.fer2013_split": "FER2013 is not ours to give out",
    "skfer.distributed.on_dask": "needs a cluster",
    "skfer.distributed.predict_folder": "needs a cluster",
    "skfer.web.serve": "serves until it is stopped",
}
# Errors that wrong arguments cause.
ERRORS = {
    error.__name__: error for error in (ValueError, TypeError, FileNotFoundError, NotFittedError)
}
# Arrays and batches, and what tells of a shape.
ARRAY = re.compile(r"\barray|ndarray|tensor\b|\bbatch\b")
SHAPE = re.compile(r"\bshape \(|\bof (n|k|n_train) ")


def public_names():
    found = {}
    for package in ("skfer", *(f"skfer.{name}" for name in PACKAGES)):
        module = importlib.import_module(package)
        for name in module.__all__:
            public = getattr(module, name)
            if inspect.isclass(public) or inspect.isfunction(public):
                found.setdefault(public, f"{package}.{name}")
    return {name: public for public, name in found.items()}


NAMES = public_names()


def methods(cls):
    for name in dir(cls):
        base = next(base for base in cls.__mro__ if name in vars(base))
        written = vars(base)[name]
        method = getattr(written, "__func__", written)  # of a classmethod
        is_method = inspect.isfunction(method) or isinstance(method, property)
        of_keras = any(
            name in vars(base) for base in cls.__mro__ if base.__module__.startswith("keras.")
        )
        if is_method and not name.startswith("_") and not of_keras and is_ours(base):
            yield name, method


def is_ours(thing):
    return thing.__module__.partition(".")[0] == "skfer"


class FieldsAreParameters(Validator):
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


def complaints(name, thing, cls=None):
    doc = get_doc_object(thing)
    errors = validate(thing, validator_cls=FieldsAreParameters)["errors"]
    found = [text for code, text in errors if code not in {*LEFT_OUT, "PR04"}]
    found += [*without_type(doc, cls), *without_shape(doc)]
    found += without_raises(doc, thing, cls)
    if cls is None:
        found += without_example(name, doc)
    if inspect.isclass(thing):
        for method_name, method in methods(thing):
            found += [
                f"{method_name}: {text}"
                for text in complaints(f"{name}.{method_name}", method, cls=thing)
            ]
    return found


def without_type(doc, cls):
    for parameter in doc["Parameters"]:
        if not parameter.type:
            told = re.match(r"As (?:in|for) `([\w.]+)`", " ".join(parameter.desc))
            there = typed_parameters(told[1], cls) if told else ()
            for name in parameter.name.split(", "):
                if name not in there:
                    yield f"{name} has no type" + (f", and no type in {told[1]}" if told else "")


def typed_parameters(name, cls):
    where, _, attribute = name.rpartition(".")
    found = getattr(cls, name, None)
    for full_name, public in NAMES.items():
        if f".{full_name}".endswith(f".{name}"):
            found = public
        elif where and full_name.endswith(f".{where}"):
            found = getattr(public, attribute)
    documented = get_doc_object(found)["Parameters"] if found else ()
    return {name for one in documented if one.type for name in one.name.split(", ")}


def without_shape(doc):
    for section in ("Parameters", "Attributes", "Returns", "Yields"):
        for name, kind, description in doc[section]:
            if ARRAY.search(kind) and not SHAPE.search(" ".join([kind, *description])):
                yield f"{section}: {name or 'what is given back'} is {kind!r}: of which shape?"


def without_raises(doc, thing, cls):
    sections = doc["Raises"] + (get_doc_object(cls)["Raises"] if cls else [])
    names = {name for section in sections for name in (section.type or section.name).split(", ")}
    documented = tuple(ERRORS[name] for name in names if name in ERRORS)
    for error, where in raised(thing, cls).items():
        if not issubclass(ERRORS[error], documented):
            yield f"{error}, raised in {where}, is not documented"


def raised(thing, cls):
    if not inspect.isclass(thing):
        return raised_by(thing, cls)
    methods = ("__init__", "__post_init__", "__call__")
    found = [raised_by(inspect.getattr_static(thing, name, None), thing) for name in methods]
    return {error: where for errors in found for error, where in errors.items()}


def raised_by(function, owner, known=()):
    """Errors raised outside of `try` by a function and the functions and methods that it calls."""
    function = getattr(function, "fget", getattr(function, "__func__", function))
    function = inspect.unwrap(function) if inspect.isfunction(function) else None
    if function is None or function in known or not is_ours(function):
        return {}
    if function.__code__.co_filename.startswith("<"):  # made by @dataclass
        return {}
    found, nodes = {}, [ast.parse(textwrap.dedent(inspect.getsource(function)))]
    while nodes:
        node = nodes.pop()
        children = list(ast.iter_child_nodes(node))
        nodes += [one for one in children if not (isinstance(node, ast.Try) and one in node.body)]
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Raise):
            name = getattr(getattr(node.exc, "func", node.exc), "id", None)
            if name in ERRORS:
                found.setdefault(name, f"{function.__module__}.{function.__qualname__}")
        elif isinstance(called, ast.Name):
            found |= raised_by(function.__globals__.get(called.id), None, (*known, function))
        elif isinstance(called, ast.Attribute) and getattr(called.value, "id", None) == "self":
            method = inspect.getattr_static(owner, called.attr, None) if owner else None
            found |= raised_by(method, owner, (*known, function))
    return found


def without_example(name, doc):
    prompts = [line for line in doc["Examples"] if line.lstrip().startswith(">>>")]
    if not prompts:
        yield "No example"
    elif name not in NOT_RUN and all("+SKIP" in line for line in prompts):
        yield "No line of the example is run"


@pytest.mark.parametrize("name", NAMES)
def test_docstring(name):
    assert not complaints(name, NAMES[name])


def halved(image, threshold):
    """Half of an image.

    Parameters
    ----------
    image : ndarray

    Returns
    -------
    ndarray of shape (H, W)
    """
    return image / 2


def test_complaints_about_a_docstring():
    assert complaints("halved", halved) == [
        "Parameters {'threshold'} not documented",
        "Parameters: image is 'ndarray': of which shape?",
        "No example",
    ]


def test_errors_raised_by_calls_and_methods():
    undocumented = get_doc_object(halved)
    (told,) = without_raises(undocumented, GrayscaleResizer.transform, GrayscaleResizer)
    assert re.fullmatch(r"ValueError, raised in skfer\.\S+, is not documented", told)
    tags = GrayscaleResizer.__sklearn_tags__
    assert not [*without_raises(undocumented, tags, GrayscaleResizer)]
