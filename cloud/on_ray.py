"""Gateways as Ray actors, one on every node of a cluster; docs/decisions/0014 says why so.

An actor's process is what `forewarn cloud serve --no-page` is: the same configuration, read from the data folder on its
node, and the same kind end. Ray starts an actor again that dies, and a node that joins gets one. No message passes
through Ray: devices call the gateways themselves and hold a list of their addresses.

The gateways live as long as the command that started them. When the cluster's head dies, the command says so and ends,
and Ray ends the actors about a minute later; what devices have, they keep.
"""

# ruff: noqa: PLC0415 - Ray is imported by who uses it
from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import structlog

from cloud.config import CloudConfig, load_config
from cloud.serve import DRAIN_SECONDS, serve
from cloud.wiring import open_cloud
from models.errors import ConfigurationError, ForewarnError, Unavailable
from training.cluster import check_head, connected

log: structlog.stdlib.BoundLogger = structlog.get_logger()
LOOK_SECONDS = 2.0  # how often nodes and gateways are looked at
_START_SECONDS = 60.0  # for a gateway's process to be there and to listen
_END_SECONDS = DRAIN_SECONDS + 7.0  # a drain, and the streams' own grace


def serve_on_ray(
    data: Path,
    *,
    cluster: str,
    port: int,
    ready: Callable[[str], None],
) -> None:
    """Keep a gateway on every node of the cluster until a signal; `ready` gets one line with their addresses.

    ForewarnError when the first gateways cannot start, `Unavailable` when the cluster's head is gone.
    """
    data = data.resolve()
    config = load_config(data)
    with connected(cluster, say=log.info):
        ending = _until_a_signal()
        _check_shared(data, config)
        gateways = Gateways(data, digest(config), port)
        try:
            ready(json.dumps({"gateways": gateways.start()}))
            while not ending.wait(LOOK_SECONDS):
                check_head()
                gateways.look()
            log.info("ending", drain_seconds=DRAIN_SECONDS)
        except BaseException:
            gateways.abandon()
            raise
        gateways.end()


def _until_a_signal() -> threading.Event:
    """What SIGTERM and SIGINT set. After connecting: Ray puts a handler of its own there, which ends the process."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    return ending


def digest(config: CloudConfig) -> str:
    """What two nodes compare: their configurations must be one, and secrets do not travel."""
    return hashlib.sha256(msgspec.json.encode(config)).hexdigest()


class Replica:
    """The actor: one gateway, in a thread of its own with its own event loop, since Ray has the main one."""

    def __init__(self, data: str, expected: str, port: int) -> None:
        import ray

        self._started: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        host = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        address = f"{host}:{port}"
        self._thread = threading.Thread(target=self._run, args=(Path(data), expected, address), daemon=True)
        self._thread.start()

    def address(self) -> str:
        """Where devices call, as soon as it listens; raises what kept it from starting."""
        return self._started.result(_START_SECONDS)

    def end(self) -> None:
        """Store what was taken, say so to the devices, and close."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(_END_SECONDS)

    def _run(self, data: Path, expected: str, address: str) -> None:
        try:
            self._loop.run_until_complete(self._serve(data, expected, address))
        except BaseException as e:
            if self._started.done():
                log.exception("gateway failed, its process ends and Ray starts another")
                os._exit(1)
            self._started.set_exception(e)

    async def _serve(self, data: Path, expected: str, address: str) -> None:
        cloud = open_cloud(data)
        if digest(cloud.config) != expected:
            raise ConfigurationError(
                "this node's configuration is another one than the command's",
                where=f"{address}: {data / 'cloud.toml'}",
                mend="give every node the same cloud.toml in the same place",
            )
        try:
            await serve(cloud, gateway=address, page=None, ready=self._listens, ending=self._ending)
        finally:
            cloud.close()

    def _listens(self, line: str) -> None:
        self._started.set_result(json.loads(line)["gateway"])


class Gateways:
    """The replicas of one cluster, by node."""

    def __init__(self, data: Path, expected: str, port: int) -> None:
        self._arguments = (str(data), expected, port)
        self._replicas: dict[str, Any] = {}
        self._listening: dict[str, str] = {}

    def start(self) -> list[str]:
        """Start one on each node and return their addresses; raises what keeps one from starting."""
        self._cover()
        for node, error in self._ask(_START_SECONDS).items():
            raise error if isinstance(error, ForewarnError) else Unavailable(f"no gateway on node {node}: {error}")
        return sorted(self._listening.values())

    def look(self) -> None:
        """Start one where a node has none, and another where one cannot go on."""
        self._cover()
        for node, error in self._ask(LOOK_SECONDS).items():
            was = self._listening.pop(node, "")
            if was or node not in self._replicas:  # else it is starting
                log.warning("gateway does not answer", node=node, was=was, reason=str(error))

    def end(self) -> None:
        """Let each drain, then end their processes."""
        import ray

        asked = [replica.end.remote() for replica in self._replicas.values()]
        if asked:
            ray.wait(asked, num_returns=len(asked), timeout=_END_SECONDS)
        self.abandon()

    def abandon(self) -> None:
        """Forget them: Ray ends an actor that nobody holds."""
        self._replicas.clear()

    def _cover(self) -> None:
        """One replica for each node that lives; those of nodes that are gone are forgotten."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode

        nodes = {node["NodeID"] for node in _nodes()}
        for gone in self._replicas.keys() - nodes:
            log.warning("node gone", node=gone, gateway=self._listening.pop(gone, ""))
            del self._replicas[gone]
        actor = ray.remote(num_cpus=0, max_restarts=-1)(Replica)
        for node in nodes - self._replicas.keys():
            here = actor.options(scheduling_strategy=OnNode(node, soft=False))
            self._replicas[node] = here.remote(*self._arguments)

    def _ask(self, within_s: float) -> dict[str, Exception]:
        """Ask each for its address; what is wrong, by node. One that Ray will not mend is given up for a new one."""
        import ray

        asked = {node: replica.address.remote() for node, replica in self._replicas.items()}
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=within_s)
        wrong: dict[str, Exception] = {}
        for node, answer in asked.items():
            try:
                address = ray.get(answer, timeout=0)
            except (ray.exceptions.RayTaskError, ray.exceptions.ActorDiedError) as e:
                cause = getattr(e, "cause", None)
                wrong[node] = cause if isinstance(cause, Exception) else e
                del self._replicas[node]
            except (ray.exceptions.ActorUnavailableError, ray.exceptions.GetTimeoutError) as e:
                wrong[node] = e
            else:
                if self._listening.get(node) != address:
                    log.info("gateway listens", address=address, node=node)
                self._listening[node] = address
        return wrong


def _check_shared(data: Path, config: CloudConfig) -> None:
    """A folder is one machine's: gateways on several need a database and an object store that all of them reach."""
    machines = {node["NodeManagerHostname"] for node in _nodes()}
    if len(machines) > 1 and (not config.database or config.s3 is None):
        raise ConfigurationError(
            f"the cluster has {len(machines)} machines, and the catalogue or the store is a folder of one of them",
            where=str(data / "cloud.toml"),
            mend="set `database` and `[s3]`",
        )


def _nodes() -> list[dict[str, Any]]:
    """What Ray knows of each node that lives."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
