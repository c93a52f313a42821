"""Which errors a function of skfer raises for what it is given, read off its source.

Followed are the functions and methods that it calls by a name that can be looked up, not the
making of other objects: what those refuse, skfer has made itself. So the list is not complete,
and what is in it can happen.
"""

import ast
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


def raised_by(function, owner=None):
    """Names of the errors, each with the function that raises it; `owner` is a method's class."""
    function = _plain(function)
    if not _is_ours(function):
        return {}
    if (function, owner) not in _known:
        _known[function, owner] = {}  # what is found where functions call each other in a circle
        _known[function, owner] = _read(function, owner)
    return _known[function, owner]


_known = {}


def _read(function, owner):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = function.__globals__ | _imported_inside(tree)
    found = {}
    for node, caught in _with_caught(tree):
        if isinstance(node, ast.Raise):
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            errors = {getattr(error, "id", None): f"{function.__module__}.{function.__qualname__}"}
        else:
            errors = {}
            for used in _used(node):
                of_self = isinstance(used, ast.Attribute)
                called = _looked_up(used, names, owner, function)
                errors |= raised_by(called, owner if of_self else None)
        for error, where in errors.items():
            if error in ERRORS and error not in caught:
                found.setdefault(error, where)
    return found


def _with_caught(node, caught=frozenset()):
    """Every node, with the names of the errors that don't get out of where it stands."""
    yield node, caught
    inside = caught
    if isinstance(node, ast.Try):
        handlers = [one for one in node.handlers if not _raises_again(one)]
        kinds = [kind for one in handlers if one.type for kind in ast.walk(one.type)]
        inside = caught | {kind.id for kind in kinds if isinstance(kind, ast.Name)}
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _with_caught(child, inside if name == "body" else caught)


def _raises_again(handler):
    return any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))


def _plain(function):
    if isinstance(function, property):
        function = function.fget
    elif isinstance(function, classmethod | staticmethod):
        function = function.__func__
    # Nothing is asked of other things: proxies of Flask's answer within a request alone.
    return inspect.unwrap(function) if inspect.isfunction(function) else function


def _is_ours(function):
    return (
        inspect.isfunction(function)
        and function.__module__.partition(".")[0] == "skfer"
        and not function.__code__.co_filename.startswith("<")  # made by @dataclass
    )


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
