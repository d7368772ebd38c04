"""What a device believes of the cloud's files: the trial's own work, without its process."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.ngclient import FetcherInterface

from cloud.registry.repository import utc_now
from edge.updater.child import work
from edge.updater.messages import Job, Outcome, Verdict
from tests.edge.updater.conftest import PARTS, Site, data_of

Tamper = Callable[[str, bytes], bytes]


def plain(_path: str, data: bytes) -> bytes:
    return data


class Files(FetcherInterface):
    """A repository's folder, with what an attacker makes of it."""

    def __init__(self, folder: Path, tamper: Tamper = plain) -> None:
        self.folder, self.tamper = folder, tamper
        self.fetched: list[str] = []

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.fetched.append(url)
        file = self.folder / url
        if not file.exists():
            raise DownloadHTTPError(url, 404)
        yield self.tamper(url, file.read_bytes())


@pytest.fixture
def attempt(tmp_path: Path, site: Site) -> Callable[..., Verdict]:
    """One trial after another on the same device; returns the verdict."""
    numbers = iter(range(100))
    (tmp_path / "tuf").mkdir()

    def attempt(bundle: str, files: FetcherInterface | None = None, *, root: bytes | None = None, **more) -> Verdict:
        folder = tmp_path / f"staging{next(numbers)}"
        folder.mkdir()
        job = Job(
            machine_class="bearing",
            bundle=bundle,
            trusted_root=root or site.root,
            metadata_dir=str(tmp_path / "tuf"),
            file=str(folder / "bundle.fwb"),
            **more,
        )
        return work(job, files or Files(site.files))

    return attempt


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def unsigned(data: bytes) -> bytes:
    return json.dumps({**json.loads(data), "signatures": []}).encode()


def renumbered(data: bytes) -> bytes:
    return data.replace(b'"version":', b'"version": 1')


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        pytest.param("targets/", lambda d: flip(d, len(d) // 2), "not the bytes that were signed", id="bundle flipped"),
        pytest.param("targets/", lambda d: d + b"x", "longer than what was signed", id="bundle longer"),
        pytest.param("targets/", lambda d: d[:-1], "not the bytes that were signed", id="bundle shorter"),
        pytest.param("targets/", lambda _: b"", "not the bytes that were signed", id="bundle empty"),
        pytest.param("metadata/5.snapshot", lambda d: flip(d, 40), "not the bytes that were signed", id="snapshot"),
        pytest.param("metadata/5.targets", lambda d: flip(d, 40), "not the bytes that were signed", id="targets"),
        pytest.param("metadata/timestamp", renumbered, "trusted keys", id="timestamp changed"),
        pytest.param("metadata/timestamp", unsigned, "trusted keys", id="timestamp unsigned"),
        pytest.param("metadata/timestamp", lambda _: b"[]", "not usable", id="timestamp nonsense"),
        pytest.param("metadata/timestamp", lambda _: bytes(50_000), "longer than what was signed", id="endless"),
    ],
)
def test_changed_bytes_are_refused(path: str, change: Callable[[bytes], bytes], words: str, site: Site, attempt):
    site.champion("b-1")
    assert attempt("b-1").outcome is Outcome.ACCEPTED
    site.champion("b-2")
    verdict = attempt("b-2", Files(site.files, lambda p, d: change(d) if p.startswith(path) else d))
    assert verdict.outcome is Outcome.UNTRUSTED
    assert words in verdict.reason
    assert attempt("b-2").outcome is Outcome.ACCEPTED, "the attack leaves no trace"


def test_a_file_that_is_not_there_is_said_to_be_missing(site: Site, attempt):
    site.champion("b-1")
    for file in (site.files / "targets").iterdir():
        file.unlink()
    verdict = attempt("b-1")
    assert (verdict.outcome, "not whole" in verdict.reason) == (Outcome.UNTRUSTED, True)


def test_a_link_that_fails_is_nobodys_fault(site: Site, attempt):
    class Down(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            raise DownloadError("the link is down")

    assert attempt("b-1", Down()) == Verdict(Outcome.UNAVAILABLE, "the link is down")


def test_metadata_of_other_keys_is_refused(tmp_path: Path, attempt):
    other = Site(tmp_path / "other")
    other.champion("b-1")
    verdict = attempt("b-1", Files(other.files))
    assert (verdict.outcome, "trusted keys" in verdict.reason) == (Outcome.UNTRUSTED, True)


def test_an_older_state_is_recognised_by_a_device_that_saw_a_newer_one(site: Site, attempt, tmp_path: Path):
    site.champion("b-1")
    old = site.copy_files(tmp_path / "old")
    site.champion("b-2")
    assert attempt("b-2").outcome is Outcome.ACCEPTED
    verdict = attempt("b-1", Files(old))
    assert (verdict.outcome, "older signed state" in verdict.reason) == (Outcome.UNTRUSTED, True)


def test_pieces_of_two_states_do_not_make_a_third(site: Site, attempt, tmp_path: Path):
    site.champion("b-1")
    old = site.copy_files(tmp_path / "old")
    site.champion("b-2")

    def mixed(path: str, data: bytes) -> bytes:
        file = old / path.replace("5.", "3.", 1)
        return file.read_bytes() if path.startswith("metadata/5.") else data

    verdict = attempt("b-1", Files(site.files, mixed))
    assert verdict.outcome is Outcome.UNTRUSTED


def test_metadata_that_is_withheld_past_its_expiry_is_reported_stale(tmp_path: Path, attempt):
    past = utc_now() - datetime.timedelta(days=15)
    frozen = Site(tmp_path / "frozen", clock=lambda: past)
    frozen.champion("b-1")
    verdict = attempt("b-1", Files(frozen.files), root=frozen.root)
    assert (verdict.outcome, "out of date" in verdict.reason) == (Outcome.UNTRUSTED, True)


@pytest.mark.parametrize(
    ("bundle", "words"),
    [("g-1", "champion for gearbox"), ("idle", "candidate for bearing"), ("no-such", "not in the signed metadata")],
)
def test_only_what_is_signed_as_assigned_to_the_class_is_taken(bundle: str, words: str, site: Site, attempt):
    site.champion("g-1", data_of("g-1", "gearbox"))
    site.registry.publish(data_of("idle"))
    verdict = attempt(bundle)
    assert verdict.outcome is Outcome.UNTRUSTED
    assert words in verdict.reason


def test_a_rolled_back_bundle_is_not_taken_however_good_its_bytes_are(site: Site, attempt):
    site.champion("b-1")
    site.champion("b-2")
    site.registry.rollback("bearing")
    assert "retired for bearing" in attempt("b-2").reason
    assert attempt("b-1").outcome is Outcome.ACCEPTED


def test_no_model_is_signed_too(site: Site, attempt):
    assert attempt("").outcome is Outcome.ACCEPTED
    site.champion("b-1")
    verdict = attempt("")
    assert (verdict.outcome, "b-1 is assigned" in verdict.reason) == (Outcome.UNTRUSTED, True)
    site.registry.block("b-1")
    assert attempt("").outcome is Outcome.ACCEPTED


def test_a_bundle_that_is_here_already_is_not_downloaded(site: Site, attempt, tmp_path: Path):
    site.champion("b-1")
    here = tmp_path / "here.fwb"
    here.write_bytes(data_of("b-1"))
    files = Files(site.files)
    assert attempt("b-1", files, known_files=(str(tmp_path / "not.fwb"), str(here))).outcome is Outcome.ACCEPTED
    assert not [path for path in files.fetched if path.startswith("targets/")]
    here.write_bytes(flip(data_of("b-1"), 100))
    assert attempt("b-1", files, known_files=(str(here),)).outcome is Outcome.ACCEPTED
    assert [path for path in files.fetched if path.startswith("targets/")], "a damaged one is"


def test_a_bundle_under_another_name_is_refused(site: Site, attempt, monkeypatch: pytest.MonkeyPatch):
    other = PARTS.with_manifest(name="b-2").pack()
    monkeypatch.setattr("cloud.registry.registry.unpack", lambda _: PARTS.with_manifest(name="b-1"))
    site.champion("b-1", other)
    verdict = attempt("b-1")
    assert (verdict.outcome, "calls itself b-2" in verdict.reason) == (Outcome.REFUSED, True)
