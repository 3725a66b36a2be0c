"""What comes in: numbers, assistants, credentials, calls, and what the agent's tools were asked."""

from __future__ import annotations

from telephony.models.calls import Call, CallCommand, CallEvent
from telephony.models.numbers import Assistant, PhoneNumber, TransferDestination, VapiCredential
from telephony.models.tool_calls import ToolInvocation
from telephony.models.webhooks import WebhookDelivery

__all__ = [
    "Assistant",
    "Call",
    "CallCommand",
    "CallEvent",
    "PhoneNumber",
    "ToolInvocation",
    "TransferDestination",
    "VapiCredential",
    "WebhookDelivery",
]
