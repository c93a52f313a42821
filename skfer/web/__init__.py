"""The web page and its JSON API (extra ``web``): everything stays on the machine it runs on."""

from skfer.web._app import create_app
from skfer.web._limits import Limits
from skfer.web._readers import Readers
from skfer.web._server import serve

__all__ = ["Limits", "Readers", "create_app", "serve"]
