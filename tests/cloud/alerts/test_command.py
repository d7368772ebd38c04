"""`forewarn alert`, as a person or a script calls it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from forewarn.commands.alert import alert
from models.errors import WrongUse
from tests.cloud.web.seeding import UNLIKE, Fleet


@pytest.fixture
def data(tmp_path):
    fleet = Fleet(tmp_path)
    fleet.add_alert()
    fleet.add_alert(UNLIKE)
    fleet.cloud.close()
    return tmp_path


@pytest.fixture
def run(data):
    def call(*arguments):
        return CliRunner().invoke(alert, [*arguments, "--data", str(data)])

    return call


def test_open_alerts_are_listed_with_what_and_how_long(run):
    first, second = run("list").stdout.splitlines()
    assert first.startswith("#2     C Plan work  F-07")
    assert "simulated" in first
    assert "bearing outer ring, likely 3\N{EN DASH}9 days left" in second


def test_acknowledging_and_resolving_are_seen_by_the_list(run):
    assert run("ack", "1", "--who", "Ana").exit_code == 0
    assert "acknowledged" in run("list", "--machine", "P-101").stdout
    result = run("resolve", "1", "--outcome", "confirmed", "--note", "pitting", "--json")
    assert json.loads(result.stdout)["outcome"] == "confirmed"
    assert "P-101" not in run("list").stdout
    assert "[resolved: confirmed]" in run("list", "--all").stdout


def test_json_carries_everything(run):
    found = json.loads(run("list", "--json").stdout)
    assert [a["id"] for a in found] == [2, 1]
    assert found[1]["said"]["evidence"][0]["value"] == 31.2


def test_an_unknown_number_says_how_to_find_the_right_one(run):
    result = run("ack", "77")
    assert isinstance(result.exception, WrongUse)
    assert str(result.exception) == "there is no alert 77 (`forewarn alert list --all` shows their numbers)"
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [("resolve", "1"), ("resolve", "1", "--outcome", "nonsense"), ("ack", "one")])
def test_wrong_use_ends_with_two_and_changes_nothing(run, arguments):
    assert run(*arguments).exit_code == 2
    assert "[new]" in run("list", "--machine", "P-101").stdout


def test_help_is_there_for_each_command():
    for name in alert.commands:
        assert CliRunner().invoke(alert, [name, "--help"]).exit_code == 0
