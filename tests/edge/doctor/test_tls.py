"""The facts about certificates are true, against a gateway that asks for them."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cloud.config import CloudConfig, TlsConfig
from cloud.wiring import Cloud
from edge.config import CloudLinkConfig, EdgeConfig
from edge.doctor import gather, tls
from edge.doctor.rules import certificates
from edge.doctor.types import Facts, GatewayFacts, Host
from tests.certificates import Authority, Pair
from tests.cloud.running import QUICK, play, running

GOOD: Callable[[Authority], Pair] = lambda a: a.device("edge-7")  # noqa: E731


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def configured(folder: Path, authority: Authority, pair: Pair | None, address: str) -> EdgeConfig:
    (folder / "ca.pem").write_bytes(authority.certificate)
    certificate, key = pair.write(folder, "device") if pair else ("", "")
    cloud = CloudLinkConfig(ca=str(folder / "ca.pem"), certificate=certificate, key=key)
    return EdgeConfig(device="edge-7", site="hall", gateways=(address,), cloud=cloud)


@pytest.mark.parametrize(
    ("pair", "gateway_of", "fault", "refused"),
    [
        (GOOD, None, "", ""),
        (lambda a: a.device("edge-8"), None, "", "not of forewarn://demo/hall/edge-7"),
        (lambda a: None, None, "it asks for a certificate", ""),
        (lambda a: Authority("another").device("edge-7"), None, "does not take", ""),
        (lambda a: a.device("edge-7", ends=datetime.timedelta(minutes=-1)), None, "does not take", ""),
        (GOOD, lambda a: Authority("another").gateway(), "its certificate: unable to get local issuer", ""),
        (GOOD, lambda a: a.gateway("127.0.0.2"), "IP address mismatch", ""),
    ],
)
def test_what_keeps_a_device_from_its_gateway_is_told(tmp_path, authority, pair, gateway_of, fault, refused):
    certificate, key = (gateway_of or Authority.gateway)(authority).write(tmp_path, "gateway")
    server = TlsConfig(certificate=certificate, key=key, client_ca=str(tmp_path / "ca.pem"))
    cloud = Cloud(tmp_path, msgspec.structs.replace(QUICK, tls=server))
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    found: list[GatewayFacts] = []

    async def story() -> None:
        async with running(cloud, config=cloud.config) as gateway:
            config = configured(tmp_path, authority, pair(authority), gateway.address)
            found.append(await asyncio.to_thread(gather.gateway_facts, gateway.address, config))

    play(story())
    cloud.close()
    assert fault in found[0].tls_fault
    assert bool(fault) == bool(found[0].tls_fault)
    assert refused in found[0].refused
    assert bool(refused) == bool(found[0].refused)
    assert not found[0].not_a_gateway


def test_a_gateway_without_tls_is_told_from_one_with_a_bad_certificate(tmp_path, authority):
    cloud = Cloud(tmp_path, CloudConfig())
    found: list[GatewayFacts] = []

    async def story() -> None:
        async with running(cloud) as gateway:
            config = configured(tmp_path, authority, authority.device("edge-7"), gateway.address)
            found.append(await asyncio.to_thread(gather.gateway_facts, gateway.address, config))

    play(story())
    cloud.close()
    assert found[0].tls_fault == "wrong version number"


def test_a_certificate_is_read_as_it_lies_there(tmp_path, authority):
    facts = tls.certificate_facts(configured(tmp_path, authority, authority.device("edge-7"), "gateway:7443"))
    assert facts.names == (facts.wanted,) == ("forewarn://demo/hall/edge-7",)
    assert facts.ends_s - facts.begins_s == 2 * 86_400
    host = Host(clock_s=facts.ends_s - 1)
    findings = [f.name for rule in certificates.RULES for f in rule(Facts(host=host, certificate=facts))]
    assert findings == ["certificate-soon"]
    nameless = tls.certificate_facts(configured(tmp_path, authority, authority.device("edge-7", named=False), "g:1"))
    assert nameless.names == ()
    (tmp_path / "device.key").unlink()
    missing = tls.certificate_facts(configured(tmp_path, authority, None, "g:1"))
    assert missing.fault == ""
    broken = EdgeConfig(
        device="edge-7",
        cloud=CloudLinkConfig(
            ca=str(tmp_path / "ca.pem"), certificate=str(tmp_path / "device.pem"), key=str(tmp_path / "device.key")
        ),
    )
    assert (tls.certificate_facts(broken).path, tls.material_of(broken)) == (str(tmp_path / "device.key"), None)
