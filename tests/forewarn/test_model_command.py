from __future__ import annotations

import json
from pathlib import Path

import pytest

from forewarn.cli import main
from tests.models.making import make_parts

PARTS = make_parts()


@pytest.fixture
def forewarn(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run a command on a data folder; returns exit code, standard output, standard error.

    Logging is not set up: it would keep this test's standard error beyond the test.
    """
    monkeypatch.setattr("forewarn.cli.configure_logging", lambda *_, **__: None)

    def run(*arguments: str, data: bool = True) -> tuple[int, str, str]:
        code = 0
        try:
            main(["model", *arguments, *(["--data", str(tmp_path / "cloud")] if data else [])])
        except SystemExit as e:
            code = int(e.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def bundle_file(tmp_path: Path):
    def write(name: str, data: bytes | None = None) -> str:
        file = tmp_path / f"{name}.fwb"
        file.write_bytes(data or PARTS.with_manifest(name=name).pack())
        return str(file)

    return write


def states(forewarn) -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(forewarn("list", "--json")[1])}


def test_a_bundle_goes_from_a_file_to_champion_and_back(forewarn, bundle_file):
    assert "no bundle" in forewarn("list")[1]
    for name in ("b-1", "b-2"):
        assert forewarn("publish", bundle_file(name))[0] == 0
        assert forewarn("promote", name)[0] == 0
    assert states(forewarn) == {"b-1": "retired", "b-2": "champion"}
    assert json.loads(forewarn("rollback", "bearing", "--json")[1]) == {"name": "b-1"}
    assert forewarn("block", "b-2")[0] == 0
    assert states(forewarn) == {"b-1": "champion", "b-2": "blocked"}
    assert "A model for tests" in forewarn("show", "b-1")[1]
    assert json.loads(forewarn("show", "b-1", "--json")[1])["manifest"]["machine_class"] == "bearing"


def test_verify_tells_a_whole_file_and_whether_it_is_signed(forewarn, bundle_file):
    file = bundle_file("b-1")
    code, out, _ = forewarn("verify", file, data=False)
    assert (code, "signature was not checked" in out) == (0, True)
    forewarn("publish", file)
    assert json.loads(forewarn("verify", file, "--json")[1])["signed_as"] == "candidate"
    code, _, err = forewarn("verify", bundle_file("b-2"))
    assert (code, "no signature names it" in err) == (1, True)


def test_verify_refuses_a_changed_file_with_one_line_that_names_it(forewarn, bundle_file):
    data = PARTS.with_manifest(name="b-1").pack()
    file = bundle_file("b-1", data[:5000] + b"\xff\xff" + data[5002:])
    code, out, err = forewarn("verify", file, data=False)
    assert (code, out) == (1, "")
    assert file in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("promote", "no-such"), ("show", "no-such"), ("rollback", "pump")])
def test_a_wrong_name_is_wrong_use(forewarn, bundle_file, arguments: tuple[str, ...]):
    forewarn("publish", bundle_file("b-1"))
    code, _, err = forewarn(*arguments)
    assert (code, arguments[1] in err) == (2, True)
