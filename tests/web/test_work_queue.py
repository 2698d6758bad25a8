"""WorkQueue: so many at once, so many wait, the rest is sent away, and each ends in time."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.playground import Answer, served, wait_until
from wordgen.web.answers import Check, Event
from wordgen.web.app import Job, WorkQueue
from wordgen.web.limits import RefusedError, ServingSettings, TimeUpError

LONG = 10_000


def counting(check: Check) -> Iterator[Event]:
    """Work that would take ten seconds."""
    for number in range(LONG):
        check()
        yield {"number": number}
        time.sleep(0.001)


def test_no_more_are_worked_on_or_wait_than_may():
    async def ask() -> None:
        queue = WorkQueue(ServingSettings(at_once=2, waiting=3))
        taken = [queue.submit(counting) for _ in range(5)]
        with pytest.raises(RefusedError, match="Too many requests are already waiting: try again in 5 seconds") as busy:
            queue.submit(counting)
        assert (busy.value.status, busy.value.retry_after) == (503, 5)
        for job in taken[:2]:
            assert await job.next_event() == {"number": 0}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(taken[2].next_event(), 0.2)
        taken[0].stop()
        assert await asyncio.wait_for(taken[2].next_event(), 5) == {"number": 0}
        with queue.submit(counting):
            queue.close()

    asyncio.run(ask())


async def to_the_end(job: Job) -> int:
    """How many events there were."""
    events = 0
    while await job.next_event():
        events += 1
    return events


def test_work_is_ended_when_its_time_is_up():
    async def ask() -> None:
        queue = WorkQueue(ServingSettings(at_once=1, waiting=3, time_out=0.3))
        first, second = queue.submit(counting), queue.submit(counting)
        with pytest.raises(TimeUpError, match=r"longer than the limit of 0\.3 seconds") as late:
            await to_the_end(first)
        assert (late.value.status, late.value.retry_after) == (503, 5)
        second.stop()
        queue.close()

    asyncio.run(ask())


def test_who_waits_too_long_is_told_that_others_are_served():
    async def ask() -> None:
        released = threading.Event()

        def stubborn(check: Check) -> Iterator[Event]:
            released.wait(5)
            yield {}

        queue = WorkQueue(ServingSettings(at_once=1, waiting=1, time_out=0.2))
        first, second = queue.submit(stubborn), queue.submit(counting)
        with pytest.raises(RefusedError, match=r"still busy with other requests after 0\.2 seconds"):
            await second.next_event()
        released.set()
        assert await first.next_event() == {}
        queue.close()

    asyncio.run(ask())


def test_closing_ends_all_work_and_begins_none():
    async def ask() -> None:
        queue = WorkQueue(ServingSettings(at_once=1, waiting=5))
        taken = [queue.submit(counting) for _ in range(4)]
        assert await taken[0].next_event()
        queue.close()
        for job in taken:
            assert await to_the_end(job) < LONG - 1
        with pytest.raises(RefusedError, match="shutting down"):
            queue.submit(counting)

    asyncio.run(ask())


def test_what_goes_wrong_in_the_work_is_raised_where_it_is_waited_for():
    def broken(check: Check) -> Iterator[Event]:
        yield {}
        raise ZeroDivisionError

    async def ask() -> None:
        queue = WorkQueue(ServingSettings())
        with queue.submit(broken) as job:
            assert await job.next_event() == {}
            with pytest.raises(ZeroDivisionError):
                await job.next_event()
        queue.close()

    asyncio.run(ask())


def test_a_burst_of_two_hundred_is_answered_and_survived(playground_room: Path):
    with served(playground_room, "--at-once", "1", "--waiting", "4") as busy:

        def ask(number: int) -> Answer:
            return busy.post("/api/text", model="spells", length=40, random_seed=number)

        with ThreadPoolExecutor(200) as crowd:
            answers = list(crowd.map(ask, range(200)))
        statuses = Counter(answer.status for answer in answers)
        assert set(statuses) == {200, 503}
        assert statuses[200] >= 5
        for answer in answers:
            if answer.status == 503:
                assert answer.headers["retry-after"] == "5"
                assert answer.content == {"error": "Too many requests are already waiting: try again in 5 seconds."}
        in_the_crowd = next(answer.content for answer in answers if answer.status == 200)
        alone = busy.post("/api/text", model="spells", length=40, random_seed=in_the_crowd["random_seed"]).content
        assert alone["text"] == in_the_crowd["text"]


@pytest.mark.parametrize("place", ["/api/write", "/api/text"])
def test_who_leaves_while_waiting_makes_room_for_another(place: str, playground_room: Path):
    endless = json.dumps({"model": "spells", "length": 100_000, "no_repeat_ngram": 9})
    with served(playground_room, "--at-once", "1", "--waiting", "1", "--longest", "100000") as busy:
        first, waiting = busy.connect(), busy.connect()
        first.request("POST", "/api/write", endless)
        assert first.getresponse().readline()
        waiting.request("POST", place, endless)
        wait_until(lambda: busy.post("/api/text", length=1).status == 503)
        waiting.close()
        another = busy.connect()

        def is_let_in() -> bool:
            another.request("POST", "/api/text", json.dumps({"length": 1}))
            assert another.sock is not None
            another.sock.settimeout(0.3)  # who is let in has no answer yet
            try:
                another.getresponse().read()
            except TimeoutError:
                return True
            return False

        wait_until(is_let_in, 10)
        another.close()
        first.close()


def test_a_text_whose_time_is_up_is_given_as_it_stands(playground_room: Path):
    with served(playground_room, "--time-out", "1", "--longest", "100000") as impatient:
        answer = impatient.post("/api/text", model="spells", length=100_000, no_repeat_ngram=3).content
        assert answer["ended"] == "time"
        assert 0 < answer["tokens"] < 100_000
        searched = impatient.post("/api/text", model="spells", mode="beam", length=2000, beams=20)
        assert searched.status == 503
        assert searched.content["error"].startswith("The request took longer than the limit of 1 seconds")
        assert searched.headers["retry-after"] == "5"
