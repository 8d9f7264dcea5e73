"""A frame whose settings are in memory once for each configuration."""

import numpy as np
import pytest
from figure_helpers import spec_of, store_of


def test_its_records_are_those_of_the_whole_frame(tmp_path):
    results = store_of(tmp_path, spec_of())
    whole, slim = results.ended("train_loss"), results.ended("train_loss")
    slim.forget_row_settings()
    rows = np.arange(len(whole.codes))
    kept = [
        {name: value for name, value in record.items() if not name.startswith("param.")}
        for record in whole.records(rows)
    ]
    assert slim.records(rows) == kept
    assert [slim.settings(index) for index in range(slim.count)] == [
        whole.settings(index) for index in range(whole.count)
    ]


def test_no_rows_can_be_left_out_of_it(tmp_path):
    frame = store_of(tmp_path, spec_of()).ended("train_loss")
    frame.forget_row_settings()
    with pytest.raises(ValueError, match="settings"):
        frame.keep(np.arange(len(frame.codes)) > 0)
