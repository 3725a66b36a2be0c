from __future__ import annotations

from django.urls import URLPattern, path

from telephony import recording_view
from telephony.live import views as live
from telephony.twilio import receipts_view as receipts
from telephony.twilio import texts_view as texts
from telephony.vapi import views as vapi

urlpatterns: list[URLPattern] = [
    path("api/webhooks/vapi", vapi.webhook, name="vapi-webhook"),
    path("api/vapi/webhook", vapi.webhook),
    path("api/vapi/tools", vapi.tools, name="vapi-tools"),
    path("api/webhooks/twilio/sms-status/<uuid:message_id>", receipts.message_status, name="sms-status"),
    path("api/webhooks/twilio/sms", texts.incoming_text, name="sms"),
    path("api/webhooks/sms-status", receipts.message_status_by_sid),
    path("media/recordings/<str:signed>", recording_view.play, name="recording"),
    path("ws/call", live.elsewhere, name="live-calls"),
    path("ws/live-calls", live.elsewhere),
]
