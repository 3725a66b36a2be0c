"""Creating a message: Twilio's own checks, in its error codes, then the record."""

from __future__ import annotations

import re
import time
from datetime import datetime
from urllib.parse import urlsplit

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.faults import MESSAGE_KINDS, RECEIPT_KINDS
from voxanne.sandbox.settings import Settings
from voxanne.sandbox.twilio.accounts import Accounts
from voxanne.sandbox.twilio.errors import TwilioError
from voxanne.sandbox.twilio.messages import Message, Messages
from voxanne.sandbox.twilio.whatsapp import OUTSIDE_WINDOW, check_channels, fails_outside_window, rendered

E164 = re.compile(r"(whatsapp:)?\+[1-9]\d{6,14}")
LONGEST_BODY = 1600
TRIAL_LINE = "Sent from your Twilio trial account - "
DEFAULT_OUTCOME_CODES = {"undelivered": 30003, "failed": 30008}


def message_from(
    exchange: Exchange, account_sid: str, accounts: Accounts, messages: Messages, settings: Settings
) -> Message:
    """The message a create request asks for. Raises TwilioError as Twilio would."""
    form = exchange.form
    _check_addresses(form, account_sid, accounts, settings)
    _check_content(form)
    service_sid = form.get("MessagingServiceSid") or None
    send_at = _send_at(form)
    sender = form.get("From") or _sender_of_service(service_sid, account_sid, accounts)
    body = rendered(form, settings.whatsapp_templates) if form.get("ContentSid") else form.get("Body", "")
    outcome, outcome_code = _outcome(exchange)
    if outcome == "delivered" and fails_outside_window(form, sender, messages, settings):
        outcome, outcome_code = "failed", OUTSIDE_WINDOW
    account = accounts.account(account_sid)
    return Message(
        account_sid=account_sid,
        to=form["To"],
        sender=sender,
        body=(TRIAL_LINE if account and account.trial else "") + body,
        keeps_no_body=account is not None and account.keeps_no_bodies,
        direction="outbound-api",
        status="scheduled" if send_at else ("accepted" if service_sid else "queued"),
        request_received_at=exchange.received_at,
        status_callback=form.get("StatusCallback") or None,
        messaging_service_sid=service_sid,
        num_media=1 if form.get("MediaUrl") else 0,
        outcome=outcome,
        outcome_code=outcome_code,
        send_at=send_at,
        receipts=[fault.kind for fault in exchange.faults if fault.kind in RECEIPT_KINDS],
    )


def _check_addresses(form: dict[str, str], account_sid: str, accounts: Accounts, settings: Settings) -> None:
    to, sender = form.get("To", ""), form.get("From", "")
    if not to:
        raise TwilioError(21604)
    if not sender and not form.get("MessagingServiceSid"):
        raise TwilioError(21603)
    if not E164.fullmatch(to):
        raise TwilioError(21211, f"Invalid 'To' Phone Number: {to[:6]}XXXX")
    check_channels(to, sender)
    if to == sender:
        raise TwilioError(21211, "'To' and 'From' number cannot be the same")
    number = accounts.number(sender)
    if sender and settings.enforce_senders and (number is None or number.account_sid != account_sid):
        raise TwilioError(21606)


def _check_content(form: dict[str, str]) -> None:
    body = form.get("Body", "")
    if not body and not form.get("MediaUrl") and not form.get("ContentSid"):
        raise TwilioError(21602)
    if len(body) > LONGEST_BODY:
        raise TwilioError(21617)
    callback = form.get("StatusCallback")
    if callback:
        parts = urlsplit(callback)
        if parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname:
            raise TwilioError(21609)


def _send_at(form: dict[str, str]) -> float | None:
    if form.get("ScheduleType") != "fixed" or not form.get("SendAt"):
        return None
    try:
        moment = datetime.fromisoformat(form["SendAt"]).timestamp()
    except ValueError as error:
        raise TwilioError(20001, "SendAt is not an ISO 8601 date and time") from error
    if not form.get("MessagingServiceSid") or not 900 <= moment - time.time() <= 35 * 86_400:
        raise TwilioError(20001, "SendAt needs a Messaging Service and lies 15 minutes to 35 days ahead")
    return moment


def _sender_of_service(service_sid: str | None, account_sid: str, accounts: Accounts) -> str | None:
    if service_sid is None:
        return None
    numbers = [
        one for one in accounts.numbers(account_sid) if one.messaging_service_sid in (None, "", service_sid)
    ]
    numbers.sort(key=lambda one: not one.messaging_service_sid)
    return numbers[0].number if numbers else "+15005550006"


def _outcome(exchange: Exchange) -> tuple[str, int | None]:
    for fault in exchange.faults:
        if fault.kind in MESSAGE_KINDS:
            return fault.kind, fault.code or DEFAULT_OUTCOME_CODES.get(fault.kind)
    return "delivered", None
