"""What happens to an accepted text: its status advances, and each step is called back, signed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from twilio.request_validator import RequestValidator

from voxanne.sandbox.settings import Settings
from voxanne.sandbox.twilio.accounts import Accounts
from voxanne.sandbox.twilio.messages import API_VERSION, Message, Messages
from voxanne.sandbox.twilio.whatsapp import is_whatsapp, of_receipt
from voxanne.sandbox.webhooks import Delivery, WebhookSender, split_overrides

STEPS = {
    "delivered": ("sending", "sent", "delivered"),
    "undelivered": ("sending", "sent", "undelivered"),
    "failed": ("sending", "failed"),
    "stays_sent": ("sending", "sent"),
    "stays_queued": (),
}


class TwilioWebhooks:
    """Signed posts to the product, as Twilio makes them."""

    def __init__(self, accounts: Accounts, sender: WebhookSender) -> None:
        self._accounts = accounts
        self._sender = sender

    async def post(self, account_sid: str, address: str, params: dict[str, str]) -> Delivery:
        """Post a form signed over the address without its fragment."""
        url, _ = split_overrides(address)
        validator = RequestValidator(self._accounts.signing_token(account_sid))
        signature = validator.compute_signature(url, params)
        return await self._sender.post(address, params=params, headers={"X-Twilio-Signature": signature})


class Progress:
    """Moves messages along their steps, each ``step_seconds`` after the last."""

    def __init__(self, messages: Messages, webhooks: TwilioWebhooks, settings: Settings) -> None:
        self._messages = messages
        self._webhooks = webhooks
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, message: Message) -> None:
        """Let a message go its way; one that had begun before a restart goes on from where it was."""
        self._spawn(self._advance(message))

    async def start_before_reply(self, message: Message) -> None:
        """Advance a message to ``sent`` and wait for that receipt, then let it go on."""
        self._messages.move(message, "sent")
        await self._call_back(message, "sent", None)
        self.start(message)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    async def _advance(self, message: Message) -> None:
        if message.send_at is not None:
            await asyncio.sleep(max(0.0, message.send_at - time.time()))
        steps = self._steps(message)
        if message.status in steps:
            steps = steps[steps.index(message.status) + 1 :]
        receipts: list[tuple[str, int | None]] = []
        previous: asyncio.Task[None] | None = None
        for status in steps:
            await asyncio.sleep(self._settings.step_seconds)
            if message.status == "canceled":
                return
            code = message.outcome_code if status in ("undelivered", "failed") else None
            self._messages.move(message, status, code)
            if "out_of_order_receipts" in message.receipts:
                receipts.insert(0, (status, code))
            else:
                previous = self._spawn(self._call_back_after(previous, message, status, code))
        for status, code in receipts:
            await self._call_back(message, status, code)

    def _steps(self, message: Message) -> tuple[str, ...]:
        is_read = self._settings.whatsapp_read and is_whatsapp(message.to) and message.outcome == "delivered"
        return (*STEPS[message.outcome], *(("read",) if is_read else ()))

    async def _call_back_after(
        self, previous: asyncio.Task[None] | None, message: Message, status: str, code: int | None
    ) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        await self._call_back(message, status, code)

    async def _call_back(self, message: Message, status: str, code: int | None) -> None:
        if not message.status_callback or "no_receipts" in message.receipts:
            return
        if status not in self._settings.receipt_statuses:
            return
        for _ in range(2 if "duplicate_receipts" in message.receipts else 1):
            await self._webhooks.post(
                message.account_sid, message.status_callback, receipt(message, status, code)
            )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def receipt(message: Message, status: str, code: int | None) -> dict[str, str]:
    """The form fields of a status callback."""
    fields = {
        "ApiVersion": API_VERSION,
        "AccountSid": message.account_sid,
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageStatus": status,
        "SmsStatus": status,
        "From": message.sender or "",
        "To": message.to,
    }
    if message.messaging_service_sid:
        fields["MessagingServiceSid"] = message.messaging_service_sid
    if code is not None:
        fields["ErrorCode"] = str(code)
    if is_whatsapp(message.to):
        return {**fields, **of_receipt(message, status, code)}
    if status in ("delivered", "undelivered"):
        fields["RawDlrDoneDate"] = time.strftime("%y%m%d%H%M", time.gmtime())
    return fields
