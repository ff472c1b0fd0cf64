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


@pytest.fixture(scope="module")
def schema():
    served = served_classifier.ServedClassifier(
        small_model(), limits=Limits(1, 4, 5, 20)
    )
    app = api_server.make_app("mine", served)
    return schemathesis.openapi.from_asgi("/openapi.json", app)


api = schemathesis.pytest.from_fixture("schema")


@api.parametrize()
@hypothesis.settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_answers_are_those_that_the_page_promises(case):
    """No status of 500, none that the page lacks, and no other form."""
    # A text in base64 need not be a picture, so that valid data is refused.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])
