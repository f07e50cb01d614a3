"""What every unit test runs with."""

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
