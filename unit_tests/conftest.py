"""What every unit test runs with."""

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the first example of a test pays for imports. The same examples in every run of CI.
settings.register_profile(
    "project",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    # The CDK's standard tests, of which the lint of the spec is one, want their marker known.
    config.addinivalue_line("markers", "image_tests: the CDK's, not used here")
