"""Hypothesis settings: no deadline, the failing blob is printed, and SYNCSTORE_EXAMPLES multiplies the effort."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def effort(examples: int, steps: int = 50) -> settings:
    """Settings for one property; runs differ from each other on purpose, so nothing is derandomized."""
    return settings(
        max_examples=max(1, round(examples * float(os.environ.get("SYNCSTORE_EXAMPLES", "1")))),
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
