"""Our own addresses that Twilio asks, as they are routed; absolute they are ``BACKEND_URL`` and one of these."""

from __future__ import annotations

VOICE_PATH = "/api/webhooks/twilio/voice"
STATUS_PATH = "/api/webhooks/twilio/call-status"
TEXTS_PATH = "/api/webhooks/twilio/sms"
