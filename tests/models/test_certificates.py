"""Certificate files are read whole: what does not fit together is named, and never taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.certificates import CertificateFiles, identity
from models.errors import ConfigurationError
from tests.certificates import Authority, Pair


@pytest.fixture
def authority() -> Authority:
    return Authority()


def files(folder: Path, authority: Authority, pair: Pair) -> CertificateFiles:
    (folder / "ca.pem").write_bytes(authority.certificate)
    certificate, key = pair.write(folder, "device")
    return CertificateFiles(ca=str(folder / "ca.pem"), certificate=certificate, key=key)


def test_two_names_never_have_one_uri():
    assert identity("acme", "hall 1", "edge-1") == "forewarn://acme/hall%201/edge-1"
    assert identity("a/b", "c", "d") != identity("a", "b/c", "d")
    assert identity("a", "b", "c%2Fd") != identity("a", "b", "c/d")


def test_a_renewed_pair_is_taken_once_and_half_of_one_never(tmp_path: Path, authority: Authority):
    first, second = authority.device(), authority.device()
    read = files(tmp_path, authority, first)
    assert read.read() == authority.material(first)
    assert read.newer() is None
    (tmp_path / "device.pem").write_bytes(second.certificate)
    with pytest.raises(ConfigurationError, match=r"device.pem: its key is not the one in .*device.key"):
        read.newer()
    assert read.newer() is None  # said once
    (tmp_path / "device.key").write_bytes(second.key)
    assert read.newer() == authority.material(second)
    assert read.newer() is None


def test_certificate_and_key_may_be_one_file_which_one_rename_replaces(tmp_path: Path, authority: Authority):
    pair = authority.device()
    both = tmp_path / "device.pem"
    both.write_bytes(pair.key + pair.certificate)
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    read = CertificateFiles(ca=str(tmp_path / "ca.pem"), certificate=str(both), key=str(both)).read()
    assert read.certificate == read.key == pair.key + pair.certificate


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("ca.pem", None, "ca.pem: cannot be read: No such file or directory"),
        ("device.key", None, "device.key: cannot be read: No such file or directory"),
        ("ca.pem", b"none", "ca.pem: no certificate of a CA in it"),
        ("device.pem", b"none", "device.pem: no certificate, or no plain key in"),
        ("device.key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----", "device.pem: no certificate, or no plain key in"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, authority: Authority, file, content, said):
    read = files(tmp_path, authority, authority.device())
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigurationError) as e:
        read.read()
    assert said in str(e.value)
