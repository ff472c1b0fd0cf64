"""Requests drawn from the server's OpenAPI page, valid ones and others."""

import hypothesis
import pytest
from served_models import small_model

schemathesis = pytest.importorskip("schemathesis", reason="an extra is missing")

from schemathesis.specs.openapi.checks import (  # noqa: E402
    positive_data_acceptance,
)

from zoo import api_server, served_classifier  # noqa: E402
from zoo.serving_limits import Limits  # noqa: E402

OPERATIONS = [
    ("/healthz", "GET"),
    ("/classes", "GET"),
    ("/classes", "POST"),
    ("/classes", "DELETE"),
    ("/classes/files", "POST"),
    ("/predict", "POST"),
    ("/predict/files", "POST"),
]
# A GET here takes nothing that could be wrong.
CASES = [
    (path, method, kind)
    for path, method in OPERATIONS
    for kind in ("POSITIVE", "NEGATIVE")
    if (method, kind) != ("GET", "NEGATIVE")
]


@pytest.fixture(scope="module")
def schema():
    served = served_classifier.ServedClassifier(
        small_model(), limits=Limits(1, 4, 5, 20)
    )
    app = api_server.make_app("mine", served)
    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_every_operation_is_drawn_from(schema):
    found = [result.ok() for result in schema.get_all_operations()]
    assert {(one.path, one.method.upper()) for one in found} == {*OPERATIONS}


@pytest.mark.parametrize("path, method, kind", CASES)
def test_answers_are_those_that_the_page_promises(schema, path, method, kind):
    """No status of 500, none that the page lacks, and no other form."""
    cases = schema[path][method].as_strategy(
        generation_mode=schemathesis.GenerationMode[kind]
    )

    @hypothesis.settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases)
    def run(case):
        # A text in base64 need not be a picture, so that valid data is
        # refused too.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    run()
