"""Awaiting a thread of one's own: a pool would make machines wait for each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


async def in_thread(work: Callable[[], None], *, name: str) -> None:
    """Run `work` in a new thread and wait for it; what it raises is raised here.

    A daemon thread: a sensor that hangs does not keep a process from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error is not None else done.set_result(None)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as e:  # noqa: BLE001 - handed to whoever waits
            error = e
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    await done
