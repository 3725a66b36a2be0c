"""Texts from patients' phones: opt-out keywords, the signed webhook, and the TwiML reply.

Source: https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out (default keywords).
"""

from __future__ import annotations

import time
from typing import Any

from voxanne.sandbox.journal import Journal, Record
from voxanne.sandbox.settings import Settings
from voxanne.sandbox.twilio.accounts import Accounts, Number
from voxanne.sandbox.twilio.messages import API_VERSION, Message, Messages
from voxanne.sandbox.twilio.receipts import Progress, TwilioWebhooks
from voxanne.sandbox.twilio.segments import segment_count
from voxanne.sandbox.twilio.twiml import BadTwiml, parse_twiml
from voxanne.sandbox.twilio.whatsapp import PREFIX, is_whatsapp, of_inbound
from voxanne.sandbox.webhooks import Delivery

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "UNSTOP", "YES"})
HELP_WORDS = frozenset({"HELP", "INFO"})


class OptOuts:
    """Which phones have told which of our numbers to stop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.clear()

    def clear(self) -> None:
        self._pairs: set[tuple[str, str]] = set()

    def blocks(self, ours: str, theirs: str) -> bool:
        return (ours, theirs) in self._pairs

    def set(self, ours: str, theirs: str, *, out: bool) -> None:
        data = {"ours": ours, "theirs": theirs, "out": out}
        self.restore("twilio.opt_out", data)
        self._journal.append("twilio.opt_out", data)

    def records(self) -> list[Record]:
        return [
            ("twilio.opt_out", {"ours": ours, "theirs": theirs, "out": True}) for ours, theirs in self._pairs
        ]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        change = self._pairs.add if data["out"] else self._pairs.discard
        change((data["ours"], data["theirs"]))


class InboundTexts:
    """Plays a person's text to the product."""

    def __init__(
        self,
        accounts: Accounts,
        messages: Messages,
        opt_outs: OptOuts,
        webhooks: TwilioWebhooks,
        progress: Progress,
        settings: Settings,
    ) -> None:
        self._accounts = accounts
        self._messages = messages
        self._opt_outs = opt_outs
        self._webhooks = webhooks
        self._progress = progress
        self._settings = settings

    async def receive(
        self,
        sender: str,
        to: str,
        body: str,
        sid: str | None = None,
        profile_name: str = "",
        button: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """A text from ``sender`` arrives at our number ``to``; with ``sid`` that text's webhook is repeated.
        By WhatsApp where ``to`` says so, with what they call themselves and the button they pressed.

        Returns the message's SID, how the webhook went, and the texts the TwiML asked for.
        Raises LookupError when the number is not configured or the repeated text is unknown.
        """
        number = self._accounts.number(to)
        if number is None:
            raise LookupError(f"{to} is not configured: POST /_control/numbers with its sms_url first.")
        by_whatsapp = is_whatsapp(to)
        if by_whatsapp and not is_whatsapp(sender):
            sender = f"{PREFIX}{sender}"
        message = self._repeated(sid) if sid else self._taken_in(number, sender, body)
        keyword = self._keyword(message)
        if not number.sms_url:
            return {"message_sid": message.sid, "webhook": None, "replies": []}
        params = self._params(message, keyword)
        if by_whatsapp:
            params |= of_inbound(message, profile_name, button or {})
        delivery = await self._webhooks.post(number.account_sid, number.sms_url, params)
        return {
            "message_sid": message.sid,
            "webhook": delivery.describe(),
            "replies": self._replies(delivery, message),
        }

    def _repeated(self, sid: str) -> Message:
        message = self._messages.find(sid)
        if message is None:
            raise LookupError("No text has that SID.")
        return message

    def _taken_in(self, number: Number, sender: str, body: str) -> Message:
        message = Message(
            account_sid=number.account_sid,
            to=number.number,
            sender=sender,
            body=body,
            direction="inbound",
            status="received",
            request_received_at=time.time(),
            messaging_service_sid=number.messaging_service_sid or None,
            sent_at=time.time(),
        )
        self._messages.add(message)
        return message

    def _keyword(self, message: Message) -> str | None:
        """Block or unblock the pair as the carrier's filter would (WhatsApp has none); STOP, START, HELP or None."""
        word = message.body.strip().upper()
        kinds = (("STOP", STOP_WORDS), ("START", START_WORDS), ("HELP", HELP_WORDS))
        kind = next((kind for kind, words in kinds if word in words), None)
        if kind in ("STOP", "START") and self._filters(message):
            self._opt_outs.set(message.to, message.sender or "", out=kind == "STOP")
        return kind

    def _filters(self, message: Message) -> bool:
        return self._settings.opt_out_keywords and not is_whatsapp(message.to)

    def _params(self, message: Message, keyword: str | None) -> dict[str, str]:
        params = {
            "ToCountry": "US",
            "SmsMessageSid": message.sid,
            "NumMedia": "0",
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "FromCountry": "US",
            "Body": message.body,
            "To": message.to,
            "NumSegments": str(segment_count(message.body)),
            "MessageSid": message.sid,
            "AccountSid": message.account_sid,
            "From": message.sender or "",
            "ApiVersion": API_VERSION,
        }
        if message.messaging_service_sid:
            params["MessagingServiceSid"] = message.messaging_service_sid
        if keyword and self._settings.advanced_opt_out:
            params["OptOutType"] = keyword
        return params

    def _replies(self, delivery: Delivery, message: Message) -> list[str]:
        if delivery.status is None or delivery.status >= 300:
            return []
        try:
            verbs = parse_twiml(delivery.body)
        except BadTwiml:
            return []
        bodies = []
        for verb in (verb for verb in verbs if verb.name == "Message"):
            body = " ".join([verb.text, *(noun.text for noun in verb.inside("Body"))]).strip()
            if body and not self._opt_outs.blocks(message.to, message.sender or ""):
                self._reply(message, body, verb.attributes.get("statusCallback"))
                bodies.append(body)
        return bodies

    def _reply(self, message: Message, body: str, status_callback: str | None) -> None:
        reply = Message(
            account_sid=message.account_sid,
            to=message.sender or "",
            sender=message.to,
            body=body,
            direction="outbound-reply",
            status="queued",
            request_received_at=time.time(),
            status_callback=status_callback,
        )
        self._messages.add(reply)
        self._progress.start(reply)
