"""What comes in: numbers, assistants, credentials, calls, and what the agent's tools were asked."""

from __future__ import annotations

from telephony.models.calls import Call, CallCommand
from telephony.models.numbers import Assistant, PhoneNumber, TransferDestination, VapiCredential
from telephony.models.recordings import CallSettings, Recording
from telephony.models.tool_calls import ToolInvocation

__all__ = [
    "Assistant",
    "Call",
    "CallCommand",
    "CallSettings",
    "PhoneNumber",
    "Recording",
    "ToolInvocation",
    "TransferDestination",
    "VapiCredential",
]
