"""Web page and JSON API for photos, videos and the camera (extra ``web``)."""

from skfer._utils import missing_package

try:
    import flask  # noqa: F401
    import waitress  # noqa: F401
except ImportError as error:
    raise missing_package(error.name or "flask", "The web page", "web") from error

from skfer.web._app import create_app
from skfer.web._limits import Limits
from skfer.web._readers import Readers
from skfer.web._server import serve

__all__ = ["Limits", "Readers", "create_app", "serve"]
