"""Any request that the OpenAPI document allows, and others, get an answer that it describes."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_helpers import Users, file_of

from raysweep.service.app import PREFIX

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 15  # of each endpoint


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The OpenAPI document of a service with a sweep that is done; its user is an admin."""
    users = Users(tmp_path_factory.mktemp("schema") / "store", requests_per_minute=1_000_000)
    users.submit()
    users.step()
    users.drive()
    users.step()
    headers = {"Authorization": f"Bearer {users.tokens['ada']}"}
    yield schemathesis.openapi.from_url(f"{users.url}{PREFIX}/openapi.json", headers=headers)
    users.close()


schema = schemathesis.pytest.from_fixture("document")


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_document_describes(case, document):
    headers = dict(document.config.headers or {})
    if "name" in (case.path_parameters or {}) and len(str(case.query)) % 2:
        case.path_parameters["name"] = "walks"  # others are not found
    if case.path.endswith("/check") and len(str(case.body)) % 2:
        case.body = file_of()
    case.call_and_validate(headers=headers, checks=CHECKS)
