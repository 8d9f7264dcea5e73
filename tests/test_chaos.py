"""A sweep that is disturbed five times ends as the same sweep left alone."""

import pytest

from benchmarks import chaos


@pytest.mark.slow
def test_a_sweep_disturbed_five_times_ends_as_one_left_alone(tmp_path):
    with chaos.local_place(tmp_path, runs=20, steps=2000) as place:
        report = chaos.compare(place, tmp_path, faults=5, seed=1)
    log = (tmp_path / "disturbed.log").read_text()
    assert report.differences == [], report.text() + log
    assert sum(report.faults.values()) == 5, report.text() + log
    assert "Traceback" not in log
