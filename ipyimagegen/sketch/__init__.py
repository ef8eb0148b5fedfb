"""The built-in image engine: draws from a prompt by fixed rules, without a model, offline.

`create_app` returns the engine as a WSGI application that speaks the OpenAI Images API.
"""

from ipyimagegen.sketch.server.app import create_app

__all__ = ["create_app"]
