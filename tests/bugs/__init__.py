"""Small realistic apps with one known bug each, and the same app with the bug mended.

A module of `apps` has: TITLE, EXPECTS (check codes, any of which counts as having found the bug), FUNCTION
(where it shows, or None), PATH (with the query a good client gives), HELLO (a good conversation, in order),
INVARIANT (None, or the name of a function that looks at the app's state and raises AssertionError),
`broken()` and `correct()` (a fresh app with fresh state each), and `demonstrate(drive)`, which says
whether the bug showed.
"""

from importlib import import_module
from pkgutil import iter_modules

from . import apps

NAMES = tuple(sorted(module.name for module in iter_modules(apps.__path__)))


def load(name):
    """The module of one bug."""
    return import_module(f"{apps.__name__}.{name}")
