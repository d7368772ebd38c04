from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from models.errors import DataInsufficient
from models.history import History
from tests.training.fleet import EVERY_NS, FEATURES, LIVES, SMALL, START_NS, failed, fleet_labels, fleet_rows, rows_of
from training.dataset import Dataset, build
from training.labels import FAULTY, HEALTHY, SENSOR, Labels, Maintenance, Verdict


def with_values(table: pa.Table, machine: str, value: float) -> pa.Table:
    """The table with every feature of one machine set to a value."""
    mine = pc.equal(table["machine"], machine)
    for feature in FEATURES:
        column = pc.if_else(mine, pa.scalar(value, pa.float32()), table[feature])
        table = table.set_column(table.column_names.index(feature), feature, column)
    return table


def test_a_condition_is_what_the_device_would_have_seen(dataset: Dataset) -> None:
    rows = rows_of("M1", LIVES["M1"], seed=0).sort_by("event_time_ns")
    history = History(FEATURES)
    seen = []
    for i in range(LIVES["M1"]):
        window = rows.filter(pc.equal(rows["event_time_ns"], START_NS + i * EVERY_NS)).to_pylist()
        channels = {r["channel"]: np.array([r[f] for f in FEATURES], np.float32) for r in window}
        condition = history.update((START_NS + i * EVERY_NS) * 1e-9, channels)
        if condition is not None:
            seen.append(condition)
    (life,) = dataset.of(["demo/M1"])
    np.testing.assert_array_equal(life.condition, np.stack(seen))


def test_a_condition_uses_nothing_that_came_later(dataset: Dataset) -> None:
    cut = {m: n * 17 // 20 for m, n in LIVES.items()}
    table = fleet_rows()
    early = pa.concat_tables(
        table.filter(pc.and_(pc.equal(table["machine"], m), pc.less(table["event_time_ns"], START_NS + n * EVERY_NS)))
        for m, n in cut.items()
    )
    shorter = build(early, fleet_labels(), SMALL)
    for short, whole in zip(shorter.lives, dataset.lives, strict=True):
        np.testing.assert_array_equal(short.condition, whole.condition[: len(short.condition)])
        np.testing.assert_array_equal(short.rul_s, whole.rul_s[: len(short.rul_s)])


def test_remaining_life_ends_at_zero_and_age_counts_from_the_first_window(dataset: Dataset) -> None:
    (life,) = dataset.of(["demo/M2"])
    assert life.rul_s[-1] == 0.0
    assert life.age_s[-1] == (LIVES["M2"] - 1) * 60.0
    assert life.share[-1] == 1.0


def test_rows_of_a_faulty_sensor_are_left_out(dataset: Dataset) -> None:
    table = fleet_rows()
    broken = rows_of("M1", LIVES["M1"], seed=9)
    broken = broken.set_column(
        broken.column_names.index("channel"), "channel", pa.array(["loose"] * broken.num_rows)
    ).set_column(broken.column_names.index("quality"), "quality", pa.array([2] * broken.num_rows, pa.uint8()))
    assert build(pa.concat_tables([table, broken]), fleet_labels(), SMALL).digest == dataset.digest


def test_the_same_rows_in_another_order_are_the_same_dataset(dataset: Dataset) -> None:
    table = fleet_rows()
    assert build(table.take(np.arange(table.num_rows)[::-1]), fleet_labels(), SMALL).digest == dataset.digest


def test_another_label_is_another_dataset(dataset: Dataset) -> None:
    first, *rest = fleet_labels().history
    labels = Labels([*rest, Maintenance(first.time_ns + 1, "M1", "failed", "demo")])
    assert build(fleet_rows(), labels, SMALL).digest != dataset.digest


def test_machines_of_one_name_at_two_sites_are_two_machines() -> None:
    tables = [fleet_rows(), rows_of("M1", 200, seed=8, site="other")]
    labels = Labels([*fleet_labels().history, failed("M1", 200, "other")])
    built = build(pa.concat_tables(tables), labels, SMALL)
    assert {"demo/M1", "other/M1"} <= set(built.machines)
    assert len(built.of(["other/M1"])[0].age_s) < 200


def test_fewer_than_three_failed_machines_are_refused_with_what_is_missing() -> None:
    with pytest.raises(DataInsufficient, match=r"2 machines have failed.*at least 3.*2 failures.*M3: no failure"):
        build(fleet_rows(), Labels(fleet_labels().history[:2]), SMALL)


def test_features_that_are_all_nan_are_refused_with_what_is_missing() -> None:
    table = fleet_rows()
    for machine in LIVES:
        table = with_values(table, machine, float("nan"))
    with pytest.raises(DataInsufficient, match=r"0 machines.*M1: 300 of 300 rows are not finite"):
        build(table, fleet_labels(), SMALL)


def test_one_machine_of_nan_is_left_out_and_said() -> None:
    built = build(with_values(fleet_rows(), "M3", float("nan")), fleet_labels(), SMALL)
    assert built.machines == ("demo/M1", "demo/M2", "demo/M4")
    assert built.left_out == ("demo/M3: 380 of 380 rows are not finite",)


def test_lives_that_end_before_any_wear_are_refused_as_one_class() -> None:
    labels = [Maintenance(m.time_ns + 240 * EVERY_NS, m.machine, "failed", "demo") for m in fleet_labels().history]
    early = dict.fromkeys(LIVES, 60)
    late = [Maintenance(START_NS + 125 * EVERY_NS, m, "failed", "demo") for m in LIVES]
    with pytest.raises(DataInsufficient, match="no worn windows"):
        build(fleet_rows(early), Labels(late), SMALL)
    with pytest.raises(DataInsufficient, match="no windows between 45% and 95% of a life"):
        build(fleet_rows(early), Labels(labels), SMALL)


@pytest.mark.parametrize("rows", [fleet_rows().drop_columns(["rms@1"]), fleet_rows().slice(0, 0)])
def test_a_lake_without_features_is_refused(rows: pa.Table) -> None:
    with pytest.raises(DataInsufficient, match="the lake holds no"):
        build(rows, fleet_labels(), SMALL)


def test_a_life_that_is_shorter_than_its_baseline_is_left_out_and_said() -> None:
    lives = {**LIVES, "M5": 31}
    built = build(fleet_rows(lives), fleet_labels(lives), SMALL)
    assert "demo/M5" not in built.machines
    assert any(reason.startswith("demo/M5: ") for reason in built.left_out)


def test_windows_in_which_the_crew_found_the_sensor_at_fault_teach_nothing_and_are_said() -> None:
    begin = START_NS + 100 * EVERY_NS
    verdict = Verdict(begin, begin + 9 * EVERY_NS, "M1", SENSOR, "demo")
    built = build(fleet_rows(), Labels(fleet_labels().history, [verdict]), SMALL)
    whole = build(fleet_rows(), fleet_labels(), SMALL)
    assert len(whole.of(["demo/M1"])[0].age_s) - len(built.of(["demo/M1"])[0].age_s) == 10
    assert built.left_out == ("demo/M1: 20 rows in which the crew found the sensor at fault",)


def verdict(machine: str, first: int, last: int, finding: str) -> Verdict:
    return Verdict(START_NS + first * EVERY_NS, START_NS + last * EVERY_NS, machine, finding, "demo")


def test_good_windows_of_a_machine_that_never_failed_are_kept_apart() -> None:
    rows = fleet_rows({**LIVES, "H1": 200})
    built = build(rows, Labels(fleet_labels().history, [verdict("H1", 100, 129, HEALTHY)]), SMALL)
    plain = build(rows, fleet_labels(), SMALL)
    (good,) = built.healthy
    assert good.machine == "demo/H1"
    assert good.age_s.tolist() == pytest.approx([60.0 * i for i in range(100, 130)])
    assert not good.share.any()
    assert not good.degradation.any()
    assert built.machines == plain.machines
    assert built.digest != plain.digest
    assert plain.left_out == ("demo/H1: no failure is known, so its end is not either",)
    assert not built.left_out


def test_an_inspection_of_a_machine_that_never_failed_says_that_all_was_good_until_then() -> None:
    inspected = Maintenance(START_NS + 150 * EVERY_NS, "H1", "inspected_good", "demo")
    built = build(fleet_rows({**LIVES, "H1": 200}), Labels([*fleet_labels().history, inspected]), SMALL)
    (good,) = built.healthy
    assert good.age_s[-1] == 150 * 60.0


def test_what_was_found_good_late_in_a_life_has_no_wear_until_then() -> None:
    inspected = Maintenance(START_NS + 225 * EVERY_NS, "M4", "inspected_good", "demo")
    (late,) = build(fleet_rows(), Labels([*fleet_labels().history, inspected]), SMALL).of(["demo/M4"])
    (plain,) = build(fleet_rows(), fleet_labels(), SMALL).of(["demo/M4"])
    until = late.age_s <= 225 * 60.0
    assert plain.degradation[until].max() > 0.4
    assert late.degradation[until].max() < 1e-6
    assert late.degradation[-1] == plain.degradation[-1] == 1.0


def test_an_alarm_that_was_confirmed_changes_no_life() -> None:
    confirmed = Labels(fleet_labels().history, [verdict("M1", 100, 120, FAULTY)])
    assert build(fleet_rows(), confirmed, SMALL).digest == build(fleet_rows(), fleet_labels(), SMALL).digest
