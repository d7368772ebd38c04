"""A Ray cluster: how this process connects to one, with its token, and sees that its head is gone.

The nodes of a cluster elsewhere need this version of Forewarn, with its extra `training`. Ray itself ends a process
whose cluster's head is silent for a minute, with no word of its own: who waits for a cluster asks `check_head` in
between, and can say what happened.
"""

# ruff: noqa: PLC0415 - Ray takes seconds and hundreds of megabytes: only who uses it pays
from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import Unavailable, WrongUse

LOCAL = "local"
_KNOCK_S = 10.0  # for a cluster's port to accept a connection


@contextmanager
def connected(address: str, *, say: Callable[[str], None], cpus: int = 2) -> Iterator[None]:
    """Connect to a Ray cluster, or start one in this machine for `LOCAL`.

    A process that is connected already uses that connection, and leaves it open. A local cluster has no dashboard and
    asks for a token; RAY_AUTH_TOKEN_PATH names the token file of another one.
    """
    _authenticate(local=address == LOCAL)
    import ray

    if ray.is_initialized():
        yield
        return
    say("Ray: starting a cluster in this machine" if address == LOCAL else f"Ray: connecting to {address}")
    _connect(address, cpus)
    try:
        yield
    finally:
        ray.shutdown()


def _connect(address: str, cpus: int) -> None:
    import ray

    _knock(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    try:
        if address == LOCAL:
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except ValueError as e:
        raise WrongUse(f"not the address of a Ray cluster: {_first_line(e)}", where=address) from e
    except ray.exceptions.AuthenticationError as e:
        raise WrongUse(
            f"the Ray cluster does not let us in: {_first_line(e)}",
            where=address,
            mend="RAY_AUTH_TOKEN_PATH names the file with its token",
        ) from e
    except (ConnectionError, RuntimeError, TimeoutError, ray.exceptions.RayError) as e:
        if str(e).startswith("Version mismatch"):
            raise WrongUse(
                f"the Ray cluster runs another version: {' '.join(str(e).split())[:300]}",
                where=address,
                mend="install the same versions of Ray and Python on its nodes and here",
            ) from e
        raise Unavailable(
            f"what listens there does not let us in, or is no Ray cluster: {_first_line(e)}",
            where=address,
            mend="RAY_AUTH_TOKEN_PATH names the file with its token. Training goes without one, too: --ray off",
        ) from e


def _knock(address: str) -> None:
    """Refuse at once where nobody listens: Ray itself would try for a quarter of an hour."""
    try:
        _reach(address.removeprefix("ray://"))
    except OSError as e:
        raise Unavailable(
            f"no Ray cluster answers: {_first_line(e)}",
            where=address,
            mend="is it started there? Training goes without one, too: --ray off",
        ) from e


def check_head() -> None:
    """Raise `Unavailable` when nobody listens any more where the connected cluster's head was."""
    import ray

    address = ray.get_runtime_context().gcs_address
    try:
        _reach(address)
    except OSError as e:
        raise Unavailable(
            f"the head of the Ray cluster is gone: {_first_line(e)}",
            where=address,
            mend="start the cluster again, then this command",
        ) from e


def _reach(address: str) -> None:
    """OSError where nothing listens at host:port; `local`, `auto` and what Ray will call wrong pass."""
    host, colon, port = address.rpartition(":")
    if colon and host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
        except OverflowError as e:
            raise OSError(str(e)) from e


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _authenticate(*, local: bool) -> None:
    """Turn token authentication on, before Ray is imported: it reads these variables once, and keeps them.

    So they stay as they are for the rest of this process. A local cluster gets a token of its own, in a file that only
    this user can read and that goes with this process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if not local:  # a local one is waited for with short attempts, and may be slow to start
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "2")  # attempts to reach the cluster, about 45 s each
    if local and not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        folder = Path(tempfile.mkdtemp(prefix="forewarn-ray-"))  # mkdtemp: 0700
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
