"""Writes `docs/metrics.md` from the metrics themselves. A test compares the two.

Run `python -m headwater.metrics_text > docs/metrics.md` after changing a metric.
"""

import sys

from prometheus_client.metrics import MetricWrapperBase

from headwater.metrics import Metrics

_HEAD = """\
# Metrics

At `/metrics`, in Prometheus' text format. Written from `headwater/metrics.py`. Counters end in `_total`;
histograms have `_bucket`, `_sum` and `_count`.

| metric | type | labels | what it says |
|---|---|---|---|
"""


def render() -> str:
    """The text of `docs/metrics.md`."""
    rows: list[str] = []
    for metric in vars(Metrics()).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        family = next(iter(metric.describe()))
        labels = ", ".join(metric._labelnames)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # no public way
        rows.append(f"| `{family.name}` | {family.type} | {labels} | {family.documentation} |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
