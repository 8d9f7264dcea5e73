"""Packs that save their state after each step, so that a follower always has something to read."""

import pytest

from raysweep.engine import pack, work


@pytest.fixture
def slices(monkeypatch):
    """Lets a pack return, and save its state, after each step."""
    monkeypatch.setattr(work, "SLICE_S", 0.0)
    monkeypatch.setattr(pack, "CHECKPOINT_SHARE", 0)
