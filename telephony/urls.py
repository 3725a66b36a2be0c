from __future__ import annotations

from django.urls import URLPattern, path

from telephony.vapi import views as vapi

urlpatterns: list[URLPattern] = [
    path("api/webhooks/vapi", vapi.webhook, name="vapi-webhook"),
    path("api/vapi/webhook", vapi.webhook),
    path("api/vapi/tools", vapi.tools, name="vapi-tools"),
]
