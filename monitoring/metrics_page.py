"""``GET /metrics``: what was counted and what is read on the spot, as Prometheus text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from monitoring.access import monitoring_access
from monitoring.gauges import read_gauge
from monitoring.metric_store import MICROSECONDS, SUM, Field, Metric, bucket_counts, series_of
from monitoring.metrics import COUNTED, GAUGES, store

PREFIX = "voxanne_"


@monitoring_access
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Every metric by name; one that has no value yet shows its type and meaning alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Everything())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Everything(Collector):
    def collect(self) -> Iterator[Family]:
        sums = store.read()
        for metric in COUNTED:
            yield histogram(metric, sums) if metric.bounds else counter(metric, sums)
        for metric in GAUGES:
            family = GaugeMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
            for labels, value in sorted(read_gauge(metric).items()):
                family.add_metric(labels, value)
            yield family


def counter(metric: Metric, sums: Mapping[Field, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    for field, value in sorted(sums.items()):
        if field[0] == metric.name and len(field) == 1 + len(metric.labels):
            family.add_metric(field[1:], value)
    return family


def histogram(metric: Metric, sums: Mapping[Field, int]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    for labels in sorted(series_of(metric, sums)):
        counts = bucket_counts(metric, labels, sums)
        below, buckets = 0, []
        for bound, count in zip((*metric.bounds, float("inf")), counts, strict=True):
            below += count
            buckets.append((floatToGoString(bound), below))  # type: ignore[no-untyped-call]
        total = sums.get((metric.name, *labels, SUM), 0) / MICROSECONDS
        family.add_metric(labels, buckets=buckets, sum_value=total)
    return family
