"""A model that was not judged fairly is not signed, and the refusal names the rule."""

from __future__ import annotations

import math

import pytest

from cloud.registry.admission import admit, refusals
from models.errors import BundleRejected
from models.manifest import DEGRADATION, FAULT, Lineage
from tests.models.making import make_parts

PARTS = make_parts()
FAIR = PARTS.manifest.evaluation


def judged(**changes):
    """The manifest of tests with some of its evaluation changed; None takes a key away."""
    evaluation = {k: v for k, v in {**FAIR, **changes}.items() if v is not None}
    return PARTS.with_manifest(evaluation=evaluation).manifest


def test_a_model_that_was_judged_fairly_is_admitted():
    assert list(refusals(PARTS.manifest)) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"split": "window"}, "it was split by window"),
        ({"split": None}, "it does not say by what it was split"),
        ({"machines": 2}, "2 machines were judged, at least 3"),
        ({"machines": None}, "0 machines were judged"),
        ({"classes": {"healthy": 900, "worn": 0}}, "one class only: healthy"),
        ({"classes": None}, "does not say which classes"),
        ({"mae": {"ours": 1.0}}, "mae stands without a floor"),
        ({"mae": {"ours": 1.0, "constant": math.nan}}, "mae stands without a floor"),
        ({"mae": None}, "it has no measure"),
    ],
)
def test_each_unfair_evaluation_is_refused_with_its_reason(changes, reason):
    (said,) = refusals(judged(**changes))
    assert reason in said


def test_more_judged_machines_than_the_lineage_names_are_not_believed():
    lineage = Lineage(dataset="", machines=("M-1", "M-1", "M-2"), configuration={}, seed=1, versions={})
    (said,) = refusals(PARTS.with_manifest(lineage=lineage).manifest)
    assert said.startswith("2 machines were judged")


def test_a_model_of_anomaly_needs_no_second_class_but_one_of_faults_does():
    one = judged(classes={"healthy": 900})
    assert not list(refusals(PARTS.with_manifest(evaluation=one.evaluation, outputs=(DEGRADATION,)).manifest))
    assert list(refusals(PARTS.with_manifest(evaluation=one.evaluation, outputs=(DEGRADATION, FAULT)).manifest))


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(
        BundleRejected, match=r"bearing-1: .*split by window.*; 1 machines .*; mae stands without.*train"
    ):
        admit(judged(split="window", machines=1, mae={"ours": 1.0}))


def test_an_unfair_bundle_is_neither_signed_nor_promoted(registry, store, monkeypatch):
    unfair = PARTS.with_manifest(name="b-9", evaluation={**FAIR, "split": "window"}).pack()
    before = sorted(store.list("registry/"))
    with pytest.raises(BundleRejected, match="split by window"):
        registry.publish(unfair)
    assert sorted(store.list("registry/")) == before

    with monkeypatch.context() as earlier:  # a version of Forewarn before these rules has signed it
        earlier.setattr("cloud.registry.registry.admit", lambda manifest: None)
        registry.publish(unfair)
    with pytest.raises(BundleRejected, match="split by window"):
        registry.promote("b-9")
    assert [row.state for row in registry.list()] == ["candidate"]
