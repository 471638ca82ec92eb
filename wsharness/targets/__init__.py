"""The app that somebody named, its WebSocket routes, and how to reach them."""

from wsharness.targets.filling import example, fill, fill_headers, varying
from wsharness.targets.importing import load_app, load_module, load_object
from wsharness.targets.routes import Param, Route, discover_routes, route_of

__all__ = [
    "Param",
    "Route",
    "discover_routes",
    "example",
    "fill",
    "fill_headers",
    "load_app",
    "load_module",
    "load_object",
    "route_of",
    "varying",
]
