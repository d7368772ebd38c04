"""The store: the folder and disk that keep what is not yet delivered."""

from __future__ import annotations

from collections.abc import Iterator

from edge.doctor.types import Facts, Finding, Level

LEAST_FREE_BYTES = 64 << 20
LEAST_FREE_INODES = 1_000
NEAR_QUOTA = 0.8
VOLATILE = frozenset({"tmpfs", "ramfs"})
NETWORKED = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
_F, _H = Level.FAULT, Level.HINT


def store_missing(facts: Facts) -> Iterator[Finding]:
    """The agent does not make it: a missing mount must not be filled."""
    if facts.store and not facts.store.exists:
        yield Finding("store-missing", _F, "the store's folder does not exist", facts.store.path, "create or mount it")


def store_not_writable(facts: Facts) -> Iterator[Finding]:
    """Nothing can be kept."""
    if facts.store and facts.store.exists and not facts.store.writable:
        yield Finding(
            "store-not-writable",
            _F,
            "the store cannot be written",
            facts.store.path,
            "chown it, or mount it read-write",
        )


def store_volatile(facts: Facts) -> Iterator[Finding]:
    """What is kept must outlive a power cut."""
    if facts.store and facts.store.file_system in VOLATILE:
        yield Finding(
            "store-volatile",
            _F,
            f"the store is on {facts.store.file_system}, which a restart empties",
            facts.store.path,
            "put it on a disk or flash (ext4, xfs, btrfs, f2fs)",
        )


def store_on_a_network(facts: Facts) -> Iterator[Finding]:
    """SQLite's log needs shared memory and real locks."""
    if facts.store and facts.store.file_system in NETWORKED:
        yield Finding(
            "store-on-network",
            _F,
            f"the store is on {facts.store.file_system}",
            facts.store.path,
            "put it on a local disk",
        )


def disk_nearly_full(facts: Facts) -> Iterator[Finding]:
    """In bytes or in files."""
    store = facts.store
    if not store:
        return
    if store.free_bytes is not None and store.free_bytes < LEAST_FREE_BYTES:
        yield Finding(
            "disk-full", _F, f"{store.free_bytes >> 20} MiB are free", store.path, "free some, or lower the quota"
        )
    if store.free_inodes is not None and store.free_inodes < LEAST_FREE_INODES:
        yield Finding("disk-full", _F, f"{store.free_inodes} files can still be made", store.path, "remove small files")


def quota_beyond_the_disk(facts: Facts) -> Iterator[Finding]:
    """The disk would be full before the policy drops anything."""
    store = facts.store
    if store and store.free_bytes is not None and store.free_bytes + store.kept_bytes < store.quota_bytes:
        yield Finding(
            "quota-beyond-disk",
            _H,
            f"outbox.quota_bytes is {store.quota_bytes:,}, but only {store.free_bytes + store.kept_bytes:,} would fit",
            store.path,
            "lower outbox.quota_bytes",
        )


def quota_near(facts: Facts) -> Iterator[Finding]:
    """Records will be dropped soon."""
    store = facts.store
    if store and store.kept_bytes > NEAR_QUOTA * store.quota_bytes:
        yield Finding(
            "quota-near",
            _F,
            f"{store.kept_bytes / store.quota_bytes:.0%} of outbox.quota_bytes are in use",
            store.path,
            "mend the way to the gateway, or raise the quota",
        )


def outbox_damaged(facts: Facts) -> Iterator[Finding]:
    """The agent would begin anew with an empty one."""
    if facts.store and facts.store.outbox_fault:
        yield Finding(
            "outbox-damaged",
            _F,
            f"the outbox is damaged: {facts.store.outbox_fault}",
            f"{facts.store.path}/outbox.sqlite",
            "copy it away and test the disk; the agent sets it aside and starts a new one",
        )


def outbox_was_damaged(facts: Facts) -> Iterator[Finding]:
    """It may happen again."""
    if facts.store and facts.store.set_aside:
        yield Finding(
            "outbox-set-aside",
            _H,
            f"{facts.store.set_aside} damaged outboxes were set aside",
            facts.store.path,
            "test the disk, then remove outbox.sqlite.damaged-*",
        )


def store_held(facts: Facts) -> Iterator[Finding]:
    """One agent a store; while it runs, the doctor leaves its sensors alone."""
    if facts.store and facts.store.holder:
        yield Finding(
            "store-held",
            _H,
            f"an agent uses the store ({facts.store.holder}); its sensors were not listened to",
            facts.store.path,
            "nothing, if that is the service; another agent needs a store of its own",
        )
