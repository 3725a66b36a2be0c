from __future__ import annotations

from django.urls import URLPattern, path

from monitoring import health

urlpatterns: list[URLPattern] = [
    path("", health.index, name="index"),
    path("health", health.health, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
]
