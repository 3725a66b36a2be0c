"""What comes in: numbers, assistants, credentials, calls, webhooks, and what the agent's tools were asked."""

from __future__ import annotations

from telephony.models.active_calls import ActiveCall, TextBack
from telephony.models.calls import Call, CallCommand, CallEvent
from telephony.models.fire_drills import FireDrill
from telephony.models.idempotency import ApiIdempotencyKey
from telephony.models.numbers import Assistant, PhoneNumber, TransferDestination, VapiCredential
from telephony.models.recordings import CallSettings, Recording
from telephony.models.tool_calls import ToolInvocation
from telephony.models.tool_registrations import ToolRegistration
from telephony.models.webhooks import WebhookDelivery

__all__ = [
    "ActiveCall",
    "ApiIdempotencyKey",
    "Assistant",
    "Call",
    "CallCommand",
    "CallEvent",
    "CallSettings",
    "FireDrill",
    "PhoneNumber",
    "Recording",
    "TextBack",
    "ToolInvocation",
    "ToolRegistration",
    "TransferDestination",
    "VapiCredential",
    "WebhookDelivery",
]
