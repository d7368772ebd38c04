"""The pages on a real socket, for tests that speak HTTP or drive a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from tests.servers.processes import free_ports

DEADLINE_S = 10.0


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve `app` from a thread on any free port; gives its address."""
    port = free_ports()[0]
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + DEADLINE_S
    while not server.started:
        assert time.monotonic() < deadline, "the pages did not start"
        assert thread.is_alive(), "the pages ended at once"
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        app.state.live.close()
        server.should_exit = True
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), "the pages did not end in time"
