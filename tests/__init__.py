"""The tests. Those below `integration` use real processes, sockets and servers; all others need nothing but this package."""

import os

from hypothesis import HealthCheck, settings

# No test asserts on the time of the clock, and neither may hypothesis: a busy machine is no failure. In CI examples are the same each time.
settings.register_profile("difyd", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI")))
settings.load_profile("difyd")
