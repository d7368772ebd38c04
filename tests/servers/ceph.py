"""A real S3 server for one test run: Ceph's RADOS gateway over one monitor and one file-backed store daemon.

Ceph is in Debian, speaks S3 fully and says what a real store says when it is full, slow or gone. Everything listens on
the loopback only, and the three daemons are foreground children, ended by their process ids.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import urllib3
from minio import Minio

from tests.servers.processes import Child, NotStarted, free_ports

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
REGION = "us-east-1"

# The watch and notify time-outs are short for the sake of `kill`: a gateway tells its like of each new bucket, and
# waits for the dead one to answer.
CONFIGURATION = """\
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = {mon_host}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_class_update_on_start = false
osd_objectstore = bluestore
osd_client_watch_timeout = 2
osd_memory_target = 939524096
bluestore_block_create = true
bluestore_block_size = {store_bytes}
bluestore_cache_autotune = false
bluestore_cache_size = 67108864
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 2
mon_data_avail_warn = 5
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
mon_cluster_log_file = {folder}/cluster.log
crash_dir = {folder}
keyring = {folder}/keyring
mon_data = {folder}/mon
osd_data = {folder}/osd
client_notify_timeout = 1
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_thread_pool_size = 32
rgw_dynamic_resharding = false
rgw_gc_max_objs = 8
rgw_lc_max_objs = 4
rgw_num_rados_handles = 1
rgw_enable_apis = s3, admin
"""

CAPABILITIES = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
    "client.rgw": ("mon", "allow rw", "osd", "allow rwx"),
}


def installed() -> bool:
    """Say whether all of Ceph's programs that this needs are there."""
    return all(shutil.which(p) for p in PROGRAMS)


class Ceph:
    """A running S3 server; each test makes itself a bucket of its own."""

    def __init__(self, *, store_bytes: int = 4 << 30) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="fw-s3-", dir="/tmp"))  # short: unix sockets have 107 characters
        self._environment = {"CEPH_CONF": str(self._folder / "ceph.conf")}
        self._children: dict[str, Child] = {}
        self._numbers = itertools.count(1)
        self._store_bytes = store_bytes
        self.region = REGION
        self.access_key = "forewarn"
        self.secret_key = secrets.token_urlsafe(24)
        try:
            self._create()
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def endpoint(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start what does not run, also after `kill`; returns when S3 answers."""
        self._daemon("mon", "ceph-mon", "-f", "-i", "a")
        self._daemon("osd", "ceph-osd", "-f", "-i", "0")
        self._daemon("rgw", "radosgw", "-f", "-n", "client.rgw").wait_until(self._answers, within_s=60)

    def kill(self, *names: str) -> None:
        """SIGKILL the daemons `names` of mon, osd and rgw; all three by default."""
        for name in names or ("rgw", "osd", "mon"):
            self._children[name].kill()

    def fill(self, bucket: str) -> None:
        """Make the store full, by calling it so: puts hang from then on, as they do in a store without room."""
        self._call_full_at("0.000001", "0.000002", "0.000003")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.client(timeout_s=1.0).put_object(bucket, "probe", io.BytesIO(b"?"), 1)
            except urllib3.exceptions.HTTPError:
                return
            time.sleep(0.1)
        raise NotStarted("the store does not become full")

    def empty(self) -> None:
        """Make room again; what hangs goes on."""
        self._call_full_at("0.85", "0.90", "0.95")

    def _call_full_at(self, *ratios: str) -> None:
        levels = ("nearfull", "backfillfull", "full")  # the monitor wants them in this order
        pairs = list(zip(levels, ratios, strict=True))
        for level, ratio in pairs if ratios[0] < "0.1" else reversed(pairs):
            self._tool("ceph", "osd", f"set-{level}-ratio", ratio)

    def close(self) -> None:
        """Stop it and remove its files."""
        for name in ("rgw", "osd", "mon"):
            if child := self._children.get(name):
                child.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def client(self, *, timeout_s: float = 10.0) -> Minio:
        """A client with bounded time-outs and no retries, for the tests' own looks into a bucket."""
        pool = urllib3.PoolManager(timeout=timeout_s, retries=False)
        return Minio(
            self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region=REGION,
            http_client=pool,
        )

    def create_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"test-{next(self._numbers)}"
        self.client().make_bucket(name)
        return name

    def _create(self) -> None:
        fsid, self._osd_uuid = str(uuid.uuid4()), str(uuid.uuid4())
        self._port, v2, v1 = free_ports(3)
        mon_host = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
        for name in ("mon", "osd"):
            (self._folder / name).mkdir()
        (self._folder / "ceph.conf").write_text(
            CONFIGURATION.format(
                fsid=fsid, mon_host=mon_host, store_bytes=self._store_bytes, folder=self._folder, port=self._port
            )
        )
        keyring, monmap = str(self._folder / "keyring"), str(self._folder / "monmap")
        for entity, capabilities in CAPABILITIES.items():
            create = ["-C"] if entity == "mon." else []
            pairs = itertools.chain.from_iterable(
                ("--cap", a, b) for a, b in zip(capabilities[::2], capabilities[1::2], strict=True)
            )
            self._tool("ceph-authtool", *create, keyring, "--gen-key", "-n", entity, *pairs)
        self._tool("monmaptool", "--create", "--fsid", fsid, "--addv", "a", mon_host, monmap)
        self._tool("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._daemon("mon", "ceph-mon", "-f", "-i", "a")
        self._tool("ceph", "--connect-timeout", "20", "osd", "new", self._osd_uuid, "0")
        self._tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", self._osd_uuid)
        self._daemon("osd", "ceph-osd", "-f", "-i", "0")
        keys = ("--access-key", self.access_key, "--secret-key", self.secret_key)
        self._tool("radosgw-admin", "user", "create", "--uid", "forewarn", "--display-name", "forewarn", *keys)

    def _daemon(self, name: str, *arguments: str) -> Child:
        child = self._children.get(name)
        if child is None or not child.running:
            child = self._children[name] = Child(arguments, self._folder / f"{name}.out", env=self._environment)
        return child

    def _tool(self, *arguments: str) -> None:
        done = subprocess.run(
            arguments,
            env={**os.environ, **self._environment},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise NotStarted(f"{arguments[0]} ended with code {done.returncode}\n{done.stderr[-2000:]}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/")
                return connection.getresponse().status == 200
            except OSError:
                return False
