"""A sweep whose results are known by formula."""

import pytest
from figure_helpers import spec_of, store_of


@pytest.fixture
def hand(tmp_path):
    """A complete sweep of two tasks, two estimators, three seeds."""
    return store_of(tmp_path, spec_of())
