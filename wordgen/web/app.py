"""The playground as an ASGI app: the page, the API, and the queue for the work that requests cause.

Each error is answered with one sentence. A limited number of pieces of work run at once, each in a thread. A limited
number wait for a thread. All others are refused at once.
"""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from wordgen.errors import WordgenError
from wordgen.report.music import PAGE_FILES, scripts
from wordgen.web import answers
from wordgen.web.answers import Check, Event, ModelStore
from wordgen.web.limits import SECONDS_TO_RETRY_AFTER, RefusedError, ServingSettings, TimeLimitError, error_response
from wordgen.web.requests import (
    LINES,
    Group,
    MusicRequest,
    NextWordsRequest,
    ScoreRequest,
    TextRequest,
    controls,
    description,
    description_page,
    read_request,
    with_api_names,
)

Work = Callable[[Check], Iterator[Event]]

_STATIC = Path(__file__).parent / "static"
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_START_PAGE = "index.html"


class _StoppedError(Exception):
    """Raised inside the work when its result is no longer needed."""


class Job(AbstractContextManager["Job"]):
    """Work in a thread that passes its events to a coroutine. The end of a `with` block stops it."""

    def __init__(self, seconds: float, closing: threading.Event) -> None:
        self._seconds = seconds
        self._closing = closing
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self._begun = asyncio.Event()
        self._stopped = threading.Event()
        self._deadline = 0.0
        self.future: Future[None] | None = None

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopped.set()
        if self.future is not None:
            self.future.cancel()

    async def next_event(self) -> Event | None:
        """Return the next event, or None after the last one. Raise the exception that the work has raised."""
        if not self._begun.is_set():
            await self._wait_for_a_thread()
        event = await self._events.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def _wait_for_a_thread(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._begun.wait()
        except TimeoutError:
            raise RefusedError(
                503,
                f"The server was still busy with other requests after {self._seconds:g} seconds: try again later.",
                SECONDS_TO_RETRY_AFTER,
            ) from None

    def run(self, work: Work) -> None:
        """Run the work and pass on its events. Called in a thread of the queue."""
        self._deadline = time.monotonic() + self._seconds
        self._call_in_loop(self._begun.set)
        try:
            for event in work(self._check):
                self._send(event)
        except _StoppedError:
            pass
        except Exception as error:
            self._send(error)

    def on_done(self, future: "Future[None]") -> None:
        """Note that there will be no more events: the work has ended, or was cancelled before it began."""
        if future.cancelled():
            self._call_in_loop(self._begun.set)
        self._send(None)

    def _check(self) -> None:
        if self._stopped.is_set() or self._closing.is_set():
            raise _StoppedError
        if time.monotonic() > self._deadline:
            raise TimeLimitError(self._seconds)

    def _send(self, event: Event | Exception | None) -> None:
        self._call_in_loop(lambda: self._events.put_nowait(event))

    def _call_in_loop(self, action: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)


class WorkQueue:
    """Runs work in threads, and refuses it if too much work is already waiting."""

    def __init__(self, settings: ServingSettings) -> None:
        self._seconds = settings.time_out
        self._threads = ThreadPoolExecutor(settings.at_once, thread_name_prefix="job")
        self._slots = threading.Semaphore(settings.at_once + settings.waiting)
        self._closing = threading.Event()

    def submit(self, work: Work) -> Job:
        """Begin work as soon as a thread is free. Raise RefusedError (503) if too much work waits, or after `close`."""
        if self._closing.is_set():
            raise _shutting_down_error()
        if not self._slots.acquire(blocking=False):
            raise RefusedError(
                503,
                f"Too many requests are already waiting: try again in {SECONDS_TO_RETRY_AFTER} seconds.",
                SECONDS_TO_RETRY_AFTER,
            )
        job = Job(self._seconds, self._closing)
        job.future = self._threads.submit(job.run, work)
        job.future.add_done_callback(lambda future: self._slots.release())
        job.future.add_done_callback(job.on_done)
        return job

    def close(self) -> None:
        """Make all running work stop before its next token, and refuse all other work."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _shutting_down_error() -> RefusedError:
    return RefusedError(503, "The playground is shutting down.")


def make_app(store: ModelStore, queue: WorkQueue, settings: ServingSettings) -> Starlette:
    api = _Api(store, queue, settings)
    described = description(settings)
    routes = [
        *(_file_route(path) for path in (*sorted(_STATIC.iterdir()), *PAGE_FILES) if path.suffix in _MEDIA_TYPES),
        _fixed_route("/abcjs.js", scripts().abcjs.encode(), _MEDIA_TYPES[".js"]),
        _fixed_route("/api", description_page(described).encode(), "text/html"),
        _fixed_route("/openapi.json", _as_json(described), "application/json"),
        _fixed_route("/api/settings", _as_json({"settings": controls(settings)}), "application/json"),
        Route("/api/models", api.models),
        Route("/api/models/{name:path}", api.about_model),
        Route("/api/write", api.write, methods=["POST"]),
        Route("/api/text", api.text, methods=["POST"]),
        Route("/api/next", api.endpoint_for(NextWordsRequest, answers.next_words), methods=["POST"]),
        Route("/api/score", api.endpoint_for(ScoreRequest, answers.score), methods=["POST"]),
        Route("/api/music", api.endpoint_for(MusicRequest, answers.music), methods=["POST"]),
    ]
    handlers: Any = {WordgenError: _refused, HTTPException: _not_found, Exception: _internal_error}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Api:
    """The endpoints of the API. Work that needs a model runs in a thread of the queue, and its events come back."""

    def __init__(self, store: ModelStore, queue: WorkQueue, settings: ServingSettings) -> None:
        self._store = store
        self._queue = queue
        self._settings = settings

    def models(self, request: Request) -> Response:
        return _json({"models": self._store.list()})

    async def about_model(self, request: Request) -> Response:
        return await self._one_event(partial(answers.about_model, self._store, request.path_params["name"]))

    def endpoint_for(
        self, group: type[Group], answer: Callable[[ModelStore, Group, Check], Iterator[Event]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint for requests of this group, which `answer` answers with one event."""

        async def endpoint(request: Request) -> Response:
            parsed = read_request(group, await request.body(), self._settings)
            return await self._one_event(partial(answer, self._store, parsed))

        return endpoint

    async def text(self, request: Request) -> Response:
        with self._queue.submit(await self._text_work(request)) as job:
            events = [await _first_event(job)]
            while (event := await job.next_event()) is not None:
                events.append(event)
        if events[-1]["event"] != "end":
            raise _shutting_down_error()
        return _json(answers.whole_text(events))

    async def write(self, request: Request) -> Response:
        job = self._queue.submit(await self._text_work(request))
        try:
            return _Lines(await _first_event(job), job)
        except BaseException:
            job.stop()
            raise

    async def _text_work(self, request: Request) -> Work:
        parsed = read_request(TextRequest, await request.body(), self._settings)
        return partial(answers.text, self._store, parsed)

    async def _one_event(self, work: Work) -> Response:
        with self._queue.submit(work) as job:
            return _json(await _first_event(job))


class _Lines(Response):
    """A response with one event per line. Each event is sent as soon as the work yields it."""

    media_type = LINES

    def __init__(self, first: Event, job: Job) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._first = first
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._job:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            event: Event | None = self._first
            while event is not None:
                await send({"type": "http.response.body", "body": _as_json(event) + b"\n", "more_body": True})
                event = await self._next_event()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next_event(self) -> Event | None:
        """Return the next event. The status has been sent, so an error can only be reported as an event of its own."""
        try:
            return await self._job.next_event()
        except WordgenError as error:
            self._job.stop()
            return {"event": "error", "error": with_api_names(str(error))}


async def _first_event(job: Job) -> Event:
    event = await job.next_event()
    if event is None:
        raise _shutting_down_error()
    return event


def _file_route(path: Path) -> Route:
    place = "/" if path.name == _START_PAGE else f"/{path.name}"
    return _fixed_route(place, path.read_bytes(), _MEDIA_TYPES[path.suffix])


def _fixed_route(place: str, content: bytes, media_type: str) -> Route:
    async def answer(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(place, answer)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, WordgenError)
    status, content, headers = error_response(error)
    return _json({"error": with_api_names(content["error"])}, status, headers)


def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        sentence = f"{request.url.path} does not accept {request.method}: /api describes all requests."
    else:
        sentence = f"There is nothing at {request.url.path}: /api describes all requests."
    return _json({"error": sentence}, error.status_code, dict(error.headers or {}))


def _internal_error(request: Request, error: Exception) -> Response:
    """Answer an unexpected exception. Starlette raises it again, so the server prints its traceback."""
    return _json({"error": f"There is a bug in wordgen ({type(error).__name__}): please report it."}, 500)


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_as_json(content), status, headers, "application/json")


def _as_json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode(errors="replace")
