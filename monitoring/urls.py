from __future__ import annotations

from django.urls import URLPattern, path

from monitoring import breaker_page, health, metrics_page

urlpatterns: list[URLPattern] = [
    path("", health.index, name="index"),
    path("health", health.health, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics_page.metrics, name="metrics"),
    path("api/monitoring/circuit-breakers", breaker_page.circuit_breakers, name="circuit-breakers"),
]
