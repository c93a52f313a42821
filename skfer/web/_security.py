"""Checks of host and origin, and security headers."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from flask import Request, Response
from werkzeug.exceptions import BadRequest, Forbidden

# Scripts, styles and requests of the page's own and no others; nothing inline.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def add_headers(response: Response) -> Response:
    """The answer with the headers that every answer has."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if not response.cache_control:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def refuse_foreign_names(request: Request, names: Collection[str]) -> None:
    """Refuse a request that came by a host name not of ours.

    A stranger's domain can be pointed at 127.0.0.1, and its pages would then be of one origin
    with this one (DNS rebinding). That takes a name: an address as host is always right.

    Raises
    ------
    werkzeug.exceptions.BadRequest
    """
    name = _split(f"//{request.host}", "Host").hostname or ""
    if name not in names and not _is_address(name):
        raise BadRequest(
            f"This page is not known as {name!r}. Open it as localhost, or start it with "
            f"hosts=[{name!r}]."
        )


def refuse_other_sites(request: Request) -> None:
    """Refuse what another site's page makes a browser send (cross-site request forgery).

    A browser names the page that sends in ``Origin`` and ``Sec-Fetch-Site``, and scripts can't
    change either. Programs other than browsers send neither.

    Raises
    ------
    werkzeug.exceptions.Forbidden
    werkzeug.exceptions.BadRequest
        If the origin is no address.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    foreign = origin is not None and _split(origin, "Origin").netloc != request.host
    if foreign or site not in ("same-origin", "none"):
        raise Forbidden("Only the page's own scripts and programs of yours may send pictures here.")


def _split(address: str, header: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:  # such as a bracket that is never closed
        raise BadRequest(f"The header {header} holds no address.") from error


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
