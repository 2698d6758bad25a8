"""WorkQueue limits how many requests run and wait, and how long."""

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.playground import Answer, Playground, served, wait_until
from wordgen.web.answers import Check, Event
from wordgen.web.app import Job, WorkQueue
from wordgen.web.limits import RefusedError, ServingSettings, TimeLimitError


def endless_work(check: Check) -> Iterator[Event]:
    for number in itertools.count():
        check()
        yield {"number": number}
        time.sleep(0.001)


def test_queue_limits_running_and_waiting_requests():
    async def run() -> None:
        queue = WorkQueue(ServingSettings(at_once=2, waiting=3))
        jobs = [queue.submit(endless_work) for _ in range(5)]
        with pytest.raises(
            RefusedError, match="Too many requests are already waiting: try again in 5 seconds"
        ) as refused:
            queue.submit(endless_work)
        assert (refused.value.status, refused.value.retry_after) == (503, 5)
        for job in jobs[:2]:
            assert await job.next_event() == {"number": 0}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(jobs[2].next_event(), 0.2)
        jobs[0].stop()
        assert await asyncio.wait_for(jobs[2].next_event(), 60) == {"number": 0}
        with queue.submit(endless_work):
            queue.close()

    asyncio.run(run())


async def count_events(job: Job) -> int:
    events = 0
    while await job.next_event():
        events += 1
    return events


def test_work_is_stopped_when_its_time_is_up():
    async def run() -> None:
        queue = WorkQueue(ServingSettings(at_once=1, waiting=3, time_out=1))
        first, second = queue.submit(endless_work), queue.submit(endless_work)
        with pytest.raises(TimeLimitError, match=r"longer than the limit of 1 seconds") as stopped:
            await count_events(first)
        assert (stopped.value.status, stopped.value.retry_after) == (503, 5)
        second.stop()
        queue.close()

    asyncio.run(run())


def test_request_that_waits_too_long_is_refused():
    async def run() -> None:
        released = threading.Event()

        def blocked_work(check: Check) -> Iterator[Event]:
            released.wait(60)
            yield {}

        queue = WorkQueue(ServingSettings(at_once=1, waiting=1, time_out=0.2))
        first, second = queue.submit(blocked_work), queue.submit(endless_work)
        with pytest.raises(RefusedError, match=r"still busy with other requests after 0\.2 seconds"):
            await second.next_event()
        released.set()
        assert await first.next_event() == {}
        queue.close()

    asyncio.run(run())


def test_close_stops_all_work_and_accepts_none():
    async def run() -> None:
        queue = WorkQueue(ServingSettings(at_once=1, waiting=5))
        jobs = [queue.submit(endless_work) for _ in range(4)]
        assert await jobs[0].next_event()
        queue.close()
        for job in jobs:
            await asyncio.wait_for(count_events(job), 60)
        with pytest.raises(RefusedError, match="shutting down"):
            queue.submit(endless_work)

    asyncio.run(run())


def test_exception_in_work_is_raised_by_next_event():
    def broken(check: Check) -> Iterator[Event]:
        yield {}
        raise ZeroDivisionError

    async def run() -> None:
        queue = WorkQueue(ServingSettings())
        with queue.submit(broken) as job:
            assert await job.next_event() == {}
            with pytest.raises(ZeroDivisionError):
                await job.next_event()
        queue.close()

    asyncio.run(run())


def test_burst_of_requests_is_answered_or_refused(playground_folder: Path):
    with served(playground_folder, "--at-once", "1", "--waiting", "4") as server:

        def write(number: int) -> Answer:
            return server.post("/api/text", model="spells", length=40, random_seed=number)

        with ThreadPoolExecutor(200) as threads:
            answers = list(threads.map(write, range(200)))
        statuses = Counter(answer.status for answer in answers)
        assert set(statuses) == {200, 503}
        assert statuses[200] >= 5
        for answer in answers:
            if answer.status == 503:
                assert answer.headers["retry-after"] == "5"
                assert answer.content == {"error": "Too many requests are already waiting: try again in 5 seconds."}
        in_burst = next(answer.content for answer in answers if answer.status == 200)
        alone = server.post("/api/text", model="spells", length=40, random_seed=in_burst["random_seed"]).content
        assert alone["text"] == in_burst["text"]


def test_waiting_request_is_removed_when_client_disconnects(playground_folder: Path):
    endless = json.dumps({"model": "spells", "length": 100_000, "no_repeat_ngram": 9})
    with served(playground_folder, "--at-once", "1", "--waiting", "1", "--longest", "100000") as server:
        for place in ("/api/write", "/api/text"):
            first, waiting = server.connect(), server.connect()
            first.request("POST", "/api/write", endless)
            assert first.getresponse().readline()
            waiting.request("POST", place, endless)
            wait_until(lambda: server.post("/api/text", length=1).status == 503)
            waiting.close()
            wait_until(lambda: _is_accepted(server))
            first.close()
            wait_until(lambda: server.post("/api/text", length=1).status == 200)


def _is_accepted(server: Playground) -> bool:
    connection = server.connect()
    try:
        connection.request("POST", "/api/text", json.dumps({"length": 1}))
        assert connection.sock is not None
        connection.sock.settimeout(0.3)  # a request that was accepted has no answer yet
        connection.getresponse().read()
    except TimeoutError:
        return True
    finally:
        connection.close()
    return False


def test_unfinished_text_is_returned_when_time_is_up(playground_folder: Path):
    with served(playground_folder, "--time-out", "0.25", "--longest", "100000") as server:
        wait_until(lambda: server.post("/api/text", model="spells", length=1).status == 200)  # the model is loaded
        answer = server.post("/api/text", model="spells", length=100_000, no_repeat_ngram=3).content
        assert answer["ended"] == "time"
        assert 0 < answer["tokens"] < 100_000
        beam_search = server.post("/api/text", model="spells", mode="beam", length=2000, beams=20)
        assert beam_search.status == 503
        assert beam_search.content["error"].startswith("The request took longer than the limit of 0.25 seconds")
        assert beam_search.headers["retry-after"] == "5"
