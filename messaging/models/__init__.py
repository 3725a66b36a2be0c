"""Whom we talk with and what was said: contacts, messages, their attempts, opt-outs, templates, senders, and what the
people at the desk are told of."""

from __future__ import annotations

from messaging.conversation.models import Conversation, ReplySettings
from messaging.models.bulk_acts import BulkAct
from messaging.models.messages import DeadLetter, DeliveryAttempt, Message
from messaging.models.people import Contact, OptOut
from messaging.models.received import InboundMessage
from messaging.models.rules import MessagingPolicy
from messaging.models.senders import SenderAccount
from messaging.models.staff_tasks import StaffTask
from messaging.models.wording import MessageTemplate, WhatsAppTemplate

__all__ = [
    "BulkAct",
    "Contact",
    "Conversation",
    "DeadLetter",
    "DeliveryAttempt",
    "InboundMessage",
    "Message",
    "MessageTemplate",
    "MessagingPolicy",
    "OptOut",
    "ReplySettings",
    "SenderAccount",
    "StaffTask",
    "WhatsAppTemplate",
]
