"""Errors as JSON that says what to do."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException, TooManyRequests

from skfer.web._limits import BusyError

RETRY_AFTER = 1  # second


def error_body(status: int, name: str, message: str) -> dict[str, Any]:
    """Return the answer for an error."""
    return {"error": {"status": status, "name": name, "message": message}}


def answer_in_json(app: Flask) -> None:
    """Let every error of the application be answered in JSON."""

    @app.errorhandler(HTTPException)
    def as_json(error: HTTPException) -> Response:
        status = error.code or 500
        response = jsonify(error_body(status, error.name, error.description or error.name))
        response.status_code = status
        for name, value in error.get_headers():
            if name not in ("Content-Type", "Content-Length"):
                response.headers[name] = value
        return response

    @app.errorhandler(BusyError)
    def as_busy(error: BusyError) -> Response:
        return as_json(
            TooManyRequests(
                "Other pictures are being worked on. Try again in a moment.",
                retry_after=RETRY_AFTER,
            )
        )
