"""The feed of changes: prompt, bounded, and gone when the server goes."""

from __future__ import annotations

import asyncio
import json

import pytest

from cloud.catalogue.fleet import Stamp
from cloud.web import live as feed
from cloud.web.live import Live
from models.errors import Unavailable

S = 1_000_000_000
DEADLINE_S = 5.0


class _Source:
    """What the catalogue would say; counts how often it is asked."""

    def __init__(self):
        self.stamp = Stamp(0, 1)
        self.asked = 0
        self.away = False

    def __call__(self):
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return self.stamp


def _live(source):
    return Live(source, clock=lambda: 100 * S, every_s=0.01)


async def _tick(stream):
    while True:
        text = await asyncio.wait_for(anext(stream), DEADLINE_S)
        if text.startswith("event: tick"):
            return json.loads(text.split("data: ")[1])


async def _until(stream, wanted):
    async with asyncio.timeout(DEADLINE_S):
        while (tick := await _tick(stream)) != wanted:
            pass
    return tick


def test_a_reader_hears_at_once_and_again_when_something_changed():
    async def scene():
        source = _Source()
        stream = _live(source).stream()
        assert await _tick(stream) == {"change": "1", "age_s": None}
        source.stamp = Stamp(98 * S, 2)
        assert await _until(stream, {"change": "2", "age_s": 2.0})

    asyncio.run(scene())


def test_many_readers_cost_one_question_and_none_costs_none():
    async def scene():
        source = _Source()
        live = _live(source)
        streams = [live.stream() for _ in range(20)]
        await asyncio.gather(*(_tick(s) for s in streams))
        assert source.asked < 20
        for stream in streams:
            await stream.aclose()
        assert live.readers == 0
        async with asyncio.timeout(DEADLINE_S):
            while not live._task.done():
                await asyncio.sleep(0.005)

    asyncio.run(scene())


def test_a_catalogue_that_is_away_does_not_end_the_feed():
    async def scene():
        source = _Source()
        stream = _live(source).stream()
        await _tick(stream)
        source.away = True
        asked = source.asked
        async with asyncio.timeout(DEADLINE_S):
            while source.asked < asked + 3:
                await asyncio.sleep(0.005)
        source.away, source.stamp = False, Stamp(0, 3)
        assert await _until(stream, {"change": "3", "age_s": None})

    asyncio.run(scene())


def test_closing_ends_every_stream():
    async def scene():
        live = Live(_Source(), every_s=3600.0)
        streams = [live.stream() for _ in range(3)]
        await asyncio.gather(*(_tick(s) for s in streams))
        waiting = [asyncio.ensure_future(anext(s, "ended")) for s in streams]
        async with asyncio.timeout(DEADLINE_S):
            while not all(queue._getters for queue in live._readers):
                await asyncio.sleep(0)
            live.close()
            assert await asyncio.gather(*waiting) == ["ended"] * 3

    asyncio.run(scene())


def test_a_stream_ends_by_itself_so_that_a_stopping_server_need_not_wait(monkeypatch):
    monkeypatch.setattr(feed, "_STREAM_S", 0.05)

    async def scene():
        async with asyncio.timeout(DEADLINE_S):
            texts = [text async for text in Live(_Source(), every_s=3600.0).stream()]
        assert texts[0].startswith("retry: ")
        assert len(texts) == 2

    asyncio.run(scene())


def test_a_slow_reader_gets_the_newest_and_holds_nothing_up():
    async def scene():
        source = _Source()
        live = _live(source)
        slow, quick = live.stream(), live.stream()
        await _tick(slow)
        await _tick(quick)
        for change in range(2, 30):
            source.stamp = Stamp(0, change)
            await _until(quick, {"change": str(change), "age_s": None})
        kept = (await _tick(slow), await _tick(slow))
        assert kept[-1] == {"change": "29", "age_s": None}

    asyncio.run(scene())


@pytest.mark.parametrize("path", ["/live"])
def test_the_feed_is_an_event_stream_that_nobody_caches(pages, path):
    with pages.http.stream("GET", path) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        lines = response.iter_lines()
        assert next(lines).startswith("retry: ")
        assert next(line for line in lines if line.startswith("data: "))
