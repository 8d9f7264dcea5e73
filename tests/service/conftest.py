"""A service without Ray."""

import pytest
from service_helpers import Users


@pytest.fixture
def users(tmp_path):
    """A service over an empty store, with clients of every role."""
    users = Users(tmp_path / "store")
    yield users
    users.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A service with one sweep that is done; tests only read from it."""
    users = Users(tmp_path_factory.mktemp("service") / "store")
    users.submit()
    users.step()
    users.drive()
    users.step()
    yield users
    users.close()
