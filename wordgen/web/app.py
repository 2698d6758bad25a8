"""The playground as an ASGI app: the page, the API behind it, and errors as one sentence."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wordgen.errors import WordgenError
from wordgen.web import answers
from wordgen.web.asked import NextWordsAsked, ScoreAsked, TextAsked, read_asked
from wordgen.web.controls import controls
from wordgen.web.description import LINES, description
from wordgen.web.description_page import description_page
from wordgen.web.guard import App, Guard, Receive, Scope, Send
from wordgen.web.limits import ServingSettings
from wordgen.web.refusals import RefusedError, answer_of
from wordgen.web.shelf import Shelf
from wordgen.web.turns import Event, Turn, Turns, Work

_STATIC = Path(__file__).parent / "static"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_START_PAGE = "index.html"


def make_app(shelf: Shelf, turns: Turns, settings: ServingSettings, version: str, token: str) -> App:
    api = _Api(shelf, turns, settings)
    described = description(settings, version)
    routes = [
        *(_file_route(path) for path in sorted(_STATIC.iterdir()) if path.suffix in _KINDS),
        _fixed_route("/api", description_page(described).encode(), "text/html"),
        _fixed_route("/openapi.json", _as_json(described), "application/json"),
        _fixed_route("/api/settings", _as_json({"settings": controls(settings)}), "application/json"),
        Route("/api/models", api.models),
        Route("/api/models/{name}", api.about_model),
        Route("/api/write", api.write, methods=["POST"]),
        Route("/api/text", api.text, methods=["POST"]),
        Route("/api/next", api.next_words, methods=["POST"]),
        Route("/api/score", api.score, methods=["POST"]),
    ]
    handlers: Any = {WordgenError: _told, HTTPException: _not_here, Exception: _bug}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), settings.host, token)


class _Api:
    """What is asked goes to a thread when its turn has come, and its events come back."""

    def __init__(self, shelf: Shelf, turns: Turns, settings: ServingSettings) -> None:
        self._shelf = shelf
        self._turns = turns
        self._settings = settings

    def models(self, request: Request) -> Response:
        return _json({"models": self._shelf.list()})

    async def about_model(self, request: Request) -> Response:
        return await self._one_event(partial(answers.about_model, self._shelf, request.path_params["name"]))

    async def next_words(self, request: Request) -> Response:
        asked = read_asked(NextWordsAsked, await request.body(), self._settings)
        return await self._one_event(partial(answers.next_words, self._shelf, asked))

    async def score(self, request: Request) -> Response:
        asked = read_asked(ScoreAsked, await request.body(), self._settings)
        return await self._one_event(partial(answers.score, self._shelf, asked))

    async def text(self, request: Request) -> Response:
        with self._turns.take(await self._writing(request)) as turn:
            events = [await _first_event(turn)]
            while (event := await turn.next_event()) is not None:
                events.append(event)
        if events[-1]["event"] != "end":
            raise _closed()
        return _json(answers.whole_text(events))

    async def write(self, request: Request) -> Response:
        turn = self._turns.take(await self._writing(request))
        try:
            return _Lines(await _first_event(turn), turn)
        except BaseException:
            turn.stop()
            raise

    async def _writing(self, request: Request) -> Work:
        asked = read_asked(TextAsked, await request.body(), self._settings)
        return partial(answers.text, self._shelf, asked)

    async def _one_event(self, work: Work) -> Response:
        with self._turns.take(work) as turn:
            return _json(await _first_event(turn))


class _Lines(Response):
    """Events one a line, each sent as soon as it is there."""

    media_type = LINES

    def __init__(self, first: Event, turn: Turn) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._first = first
        self._turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._turn:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            event: Event | None = self._first
            while event is not None:
                await send({"type": "http.response.body", "body": _as_json(event) + b"\n", "more_body": True})
                event = await self._next_event()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next_event(self) -> Event | None:
        """What goes wrong from here on can only be told in a line."""
        try:
            return await self._turn.next_event()
        except WordgenError as error:
            self._turn.stop()
            return {"event": "error", "error": str(error)}


async def _first_event(turn: Turn) -> Event:
    event = await turn.next_event()
    if event is None:
        raise _closed()
    return event


def _closed() -> RefusedError:
    return RefusedError(503, "The playground is being closed.")


def _file_route(path: Path) -> Route:
    place = "/" if path.name == _START_PAGE else f"/{path.name}"
    return _fixed_route(place, path.read_bytes(), _KINDS[path.suffix])


def _fixed_route(place: str, content: bytes, media_type: str) -> Route:
    async def answer(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(place, answer)


def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, WordgenError)
    status, content, headers = answer_of(error)
    return _json(content, status, headers)


def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        sentence = f"{request.method} is not for {request.url.path}: /api says what is."
    else:
        sentence = f"There is nothing at {request.url.path}: /api says what there is."
    return _json({"error": sentence}, error.status_code, dict(error.headers or {}))


def _bug(request: Request, error: Exception) -> Response:
    """The error goes on to the server, which shows where it was raised."""
    return _json({"error": f"Something in wordgen itself went wrong ({type(error).__name__}): please report it."}, 500)


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_as_json(content), status, headers, "application/json")


def _as_json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode(errors="replace")
