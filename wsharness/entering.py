"""How a check gets in: what a route takes but does not require is brought along where nobody gets in without."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from wsharness import checks, outcomes
from wsharness.asgi import App
from wsharness.attempts import run_alone
from wsharness.conversations import Options, conversations
from wsharness.results import Failure
from wsharness.targets import Route, example


def let_in(app: App, route: Route, options: Options) -> Options:
    """The options, with values for what the route takes where they let somebody in."""
    given = dict((*options.params, *options.query, *options.headers, *options.cookies))
    more = [(name, example(one)) for name, one in route.params.items() if not one.required and name not in given]
    if not more or _accepts(app, route, options):
        return options
    richer = replace(options, params=(*options.params, *more))
    return richer if _accepts(app, route, richer) else options


def _accepts(app: App, route: Route, options: Options) -> bool:
    return run_alone(app, next(conversations(route, options)), options).accepted


def unreached(route: Route, options: Options, seen: Iterable[outcomes.Outcome]) -> Failure:
    """WSH304, with what clients saw and what the route takes."""
    saw = Counter(text.partition(" ")[2] for outcome in seen for text in outcome).most_common(1)
    because = f": a client {saw[0][0]}" if saw else ""
    needs = ", ".join(_flag(place, route) for place in ("query", "header", "cookie"))
    message = f"no connection was ever accepted{because}; say what it needs: {needs}, --subprotocol, --hello FILE"
    where = {"route": route.path, "case": "every case", "seed": options.seed, "profile": options.profile}
    return checks.CHECKS["WSH304"].failure(message, **where)


def _flag(place: str, route: Route) -> str:
    names = [name for name, param in route.params.items() if param.place == place]
    return f"--{place}" + (f" (it takes {', '.join(names)})" if names else "")
