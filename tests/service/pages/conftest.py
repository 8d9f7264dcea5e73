"""Services with sweeps in every state, and readers of their pages."""

import pytest
from figure_helpers import only_begun, spec_of, store_of
from pages_stores import TWO, awkward
from pages_visitor import Visitor
from service_helpers import Users


@pytest.fixture
def site(tmp_path):
    """A service over an empty store, with users of every role."""
    users = Users(tmp_path / "store")
    yield users
    users.close()


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A service with several sweeps, which tests only read."""
    store = tmp_path_factory.mktemp("pages") / "store"
    store_of(store, spec_of(name="hand", tags=["paper"], description="made by hand"))
    store_of(store, spec_of(name="begun"), only_begun)
    store_of(store, spec_of(name="two", select=TWO))
    store_of(store, spec_of(name="nothing"), ended=lambda *which: None)
    awkward(store)
    users = Users(store)
    users.service.catalogue.poll()
    users.submit(name="waiting")
    yield users
    users.close()


@pytest.fixture
def visit():
    """Function from a service and the name of a user to a reader of the pages."""
    visitors = []

    def visitor(users, name=None):
        visitors.append(Visitor(users, name))
        return visitors[-1]

    yield visitor
    for one in visitors:
        one.client.close()
