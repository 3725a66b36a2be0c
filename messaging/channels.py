"""The two ways a text can go: by SMS, or by WhatsApp through the same provider. Twilio tells them apart by a prefix.

A person's number is kept bare everywhere; ours is kept as Twilio knows it, so that the ledger of opt-outs has a pair a
way: who says STOP on WhatsApp still gets texts, and the other way round.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

WHATSAPP_PREFIX = "whatsapp:"
# 24 hours from the person's last WhatsApp text as Meta counts them; we learn of a text a little later than that.
WINDOW = timedelta(hours=24) - timedelta(minutes=5)


class Channel(models.TextChoices):
    """Each with the word that staff read for it."""

    SMS = "sms", "Text"
    WHATSAPP = "whatsapp", "WhatsApp"


def address(channel: str, number: str) -> str:
    """``number`` (E.164) as the provider knows it on this channel."""
    return f"{WHATSAPP_PREFIX}{number}" if channel == Channel.WHATSAPP else number


def parted(provider_address: str) -> tuple[Channel, str]:
    """The channel and the bare number of an address as the provider writes it."""
    if provider_address.startswith(WHATSAPP_PREFIX):
        return Channel.WHATSAPP, provider_address.removeprefix(WHATSAPP_PREFIX)
    return Channel.SMS, provider_address


def window_since(now: datetime) -> datetime:
    """Whoever wrote by WhatsApp after this may be sent free words there at ``now``."""
    return now - WINDOW


# Within the outbox's one statement: a clinic without WhatsApp pays for a look at one column of a row that is read
# anyway.
# A text goes by WhatsApp only to who agreed to it there and did not stop it there, and only where there will be words
# for it: free ones while the window is open, else an approved template of its kind.
SENDER = """
SELECT s.org_id, s.paused_reason, way.channel,
       CASE way.channel WHEN 'sms' THEN s.messaging_service_sid ELSE '' END AS messaging_service_sid,
       CASE way.channel WHEN 'whatsapp' THEN 'whatsapp:' || s.whatsapp_number ELSE s.number END AS number
FROM sender_accounts s
CROSS JOIN LATERAL (
    SELECT CASE WHEN s.whatsapp_on AND s.whatsapp_paused_reason = ''
         AND EXISTS (SELECT FROM contacts c WHERE c.org_id = s.org_id AND c.phone = %(recipient)s
                     AND c.preferred_channel = 'whatsapp')
         AND NOT coalesce((SELECT o.opted_out FROM opt_outs o
                           WHERE o.org_id = s.org_id AND o.recipient = %(recipient)s
                             AND o.sender = 'whatsapp:' || s.whatsapp_number
                           ORDER BY o.created_at DESC, o.opted_out DESC LIMIT 1), false)
         AND (EXISTS (SELECT FROM inbound_messages i
                      WHERE i.org_id = s.org_id AND i.sender = %(recipient)s AND i.recipient = s.whatsapp_number
                        AND i.channel = 'whatsapp' AND i.created_at > %(window_since)s)
              OR (%(template_values)s::jsonb IS NOT NULL
                  AND EXISTS (SELECT FROM whatsapp_templates t WHERE t.org_id = s.org_id AND t.kind = %(kind)s)))
    THEN 'whatsapp' ELSE 'sms' END AS channel
    OFFSET 0) way
WHERE s.org_id = %(org)s
"""
