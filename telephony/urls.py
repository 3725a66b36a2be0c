from __future__ import annotations

from django.urls import URLPattern, path

from monitoring.access import monitoring_access
from telephony.api.views import BookingView
from telephony.live import views as live
from telephony.missed_calls import cron_views as cron
from telephony.recordings import view as recordings
from telephony.tool_chain.health_view import ToolHealth
from telephony.twilio import receipts_view as receipts
from telephony.twilio import texts_view as texts
from telephony.twilio import voice_view as voice
from telephony.vapi import views as vapi
from telephony.webhooks import monitoring_views as webhooks

urlpatterns: list[URLPattern] = [
    path("api/webhooks/vapi", vapi.webhook, name="vapi-webhook"),
    path("api/vapi/webhook", vapi.webhook),
    path("api/vapi/tools", vapi.tools, name="vapi-tools"),
    path("api/vapi/booking", BookingView.as_view(), name="booking-api"),
    path("api/webhooks/twilio/sms-status/<uuid:message_id>", receipts.message_status, name="sms-status"),
    path("api/webhooks/twilio/voice", voice.voice, name="voice"),
    path("api/webhooks/twilio/voice/whisper/<uuid:call_id>", voice.whisper, name="whisper"),
    path("api/webhooks/twilio/call-status", voice.call_status, name="call-status"),
    path("api/webhooks/twilio/sms", texts.incoming_text, name="sms"),
    path("api/webhooks/sms-status", receipts.message_status_by_sid),
    path("api/monitoring/tool-health", monitoring_access(ToolHealth.as_view()), name="tool-health"),
    path("api/cron/check-missed-calls", cron.check_missed_calls, name="check-missed-calls"),
    path("api/cron/cleanup-old-calls", cron.cleanup_old_calls, name="cleanup-old-calls"),
    path("api/monitoring/webhooks", webhooks.webhooks, name="webhooks"),
    path(
        "api/monitoring/webhooks/<uuid:webhook_id>/replay",
        webhooks.replay_webhook,
        name="replay-webhook",
    ),
    path("media/recordings/<str:signed>", recordings.play, name="recording"),
    path("ws/call", live.elsewhere, name="live-calls"),
    path("ws/live-calls", live.elsewhere),
]
