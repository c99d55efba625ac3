"""Hypothesis profiles: no deadline anywhere, since a first kernel call compiles."""

import os

from hypothesis import HealthCheck, settings

collect_ignore_glob = ["fixtures/*/make_vectors.py"]  # scripts that need other packages

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("dev", max_examples=50, deadline=None, suppress_health_check=_QUIET)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    database=None,
    suppress_health_check=_QUIET,
)
settings.register_profile("nightly", max_examples=20_000, deadline=None)
settings.load_profile(os.environ.get("REFQ_PROFILE", "dev"))
