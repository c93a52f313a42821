"""Which errors a function of skfer raises for what it is given, read off its source.

Followed are the functions and methods that it calls by a name that can be looked up, not the
making of other objects: what those refuse, skfer has made itself. So the list is not complete,
and what is in it can happen.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import textwrap
import types

from sklearn.exceptions import NotFittedError

# What was given is wrong. Left out is what the machine is to blame for: packages that are not
# installed, disks, processes that were forked; and the answers of a server.
ERRORS = {
    error.__name__: error for error in (ValueError, TypeError, FileNotFoundError, NotFittedError)
}


def raised_by(function, owner=None, seen=None):
    """Names of the errors, each with the function that raises it.

    `owner` is the class whose method it is, and `seen` what has been read already.
    """
    seen = set() if seen is None else seen
    function = _plain(function)
    if not _is_ours(function) or (function, owner) in seen:
        return {}
    seen.add((function, owner))
    tree = _tree(function)
    names = function.__globals__ | _imported_inside(tree)
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if getattr(error, "id", None) in ERRORS:
                found.setdefault(error.id, f"{function.__module__}.{function.__qualname__}")
        for used in _used(node):
            of_self = isinstance(used, ast.Attribute)
            for error, where in raised_by(
                _looked_up(used, names, owner, function), owner if of_self else None, seen
            ).items():
                found.setdefault(error, where)
    return found


def _plain(function):
    function = getattr(function, "fget", function)  # of a property
    return inspect.unwrap(getattr(function, "__func__", function))  # of a classmethod


def _is_ours(function):
    return (
        inspect.isfunction(function)
        and function.__module__.partition(".")[0] == "skfer"
        and not function.__code__.co_filename.startswith("<")  # made by @dataclass
    )


@functools.cache
def _tree(function):
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _imported_inside(tree):
    """Names that the function imports when it runs."""
    return {
        alias.asname or alias.name: getattr(importlib.import_module(node.module), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "skfer"
        for alias in node.names
        if hasattr(importlib.import_module(node.module), alias.name)
    }


def _used(node):
    """What is called at a node, is handed to a call there, or is read from self."""
    if isinstance(node, ast.Call):
        return [node.func, *node.args]
    is_own = isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "self"
    return [node] if is_own else []


def _looked_up(used, names, owner, function):
    """What a name, or an attribute of self, super() or a module stands for; None elsewhere."""
    if isinstance(used, ast.Name):
        return names.get(used.id)
    if not isinstance(used, ast.Attribute):
        return None
    if isinstance(used.value, ast.Call) and getattr(used.value.func, "id", None) == "super":
        above = [vars(base).get(used.attr) for base in owner.__mro__] if owner else []
        above = [_plain(method) for method in above if method is not None]
        return above[above.index(function) + 1] if function in above[:-1] else None
    base = getattr(used.value, "id", None)
    place = owner if base in ("self", "cls") else names.get(base)
    if not isinstance(place, type | types.ModuleType):
        return None
    return inspect.getattr_static(place, used.attr, None)
