"""Every address, by the floor that answers it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from monitoring.limits import ANONYMOUS, limited

handler400 = "monitoring.errors.bad_request"
handler403 = "monitoring.errors.permission_denied"
handler404 = "monitoring.errors.page_not_found"
handler500 = "monitoring.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("monitoring.urls")),
    path("", include("messaging.urls")),
    path("", include("telephony.urls")),
    path("", include("bookings.urls")),
    path("api/schema/", limited(ANONYMOUS)(SpectacularAPIView.as_view()), name="schema"),
    path("api/docs/", limited(ANONYMOUS)(SpectacularSwaggerView.as_view(url_name="schema"))),
    path("admin/", admin.site.urls),
]
