"""Accounts, their tokens and keys, and the numbers they hold."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.formats import twilio_sid
from voxanne.sandbox.journal import Journal, Record
from voxanne.sandbox.twilio.errors import TwilioError

DEVELOPMENT_SID = "AC0000000000000000000000000000d3e0"
DEVELOPMENT_TOKEN = "development-twilio-auth-token"  # noqa: S105


@dataclass
class Account:
    """``auth_token`` signs webhooks; with ``api_keys`` empty any SK key is accepted. ``trial``: texts begin with
    Twilio's own line. ``keeps_no_bodies``: the phone shows a text's words, the REST API does not."""

    sid: str
    auth_token: str
    api_keys: dict[str, str] = field(default_factory=dict)
    trial: bool = False
    keeps_no_bodies: bool = False


@dataclass
class Number:
    """One of our numbers and where Twilio sends what happens on it."""

    number: str
    account_sid: str
    voice_url: str = ""
    sms_url: str = ""
    status_url: str = ""
    voice_fallback_url: str = ""
    sms_fallback_url: str = ""
    name: str = ""
    messaging_service_sid: str | None = None
    sid: str = field(default_factory=lambda: twilio_sid("PN"))


class Accounts:
    """An account never configured accepts any credentials and learns its token from an AC sign-in."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._learned: dict[str, str] = {}
        self._accounts: dict[str, Account] = {}
        self._numbers: dict[str, Number] = {}
        self.clear()

    def clear(self) -> None:
        """Back to the one account of the environment, no numbers."""
        default = Account(
            sid=os.environ.get("TWILIO_ACCOUNT_SID") or DEVELOPMENT_SID,
            auth_token=os.environ.get("TWILIO_AUTH_TOKEN") or DEVELOPMENT_TOKEN,
        )
        self.default_sid = default.sid
        self._accounts = {default.sid: default}
        self._learned, self._numbers = {}, {}

    def configure(self, account: Account) -> None:
        self._accounts[account.sid] = account
        self._journal.append("twilio.account", asdict(account))

    def configure_number(self, number: Number) -> None:
        known = self._numbers.get(number.number)
        if known is not None:
            number.sid = known.sid
        self._numbers[number.number] = number
        self._journal.append("twilio.number", asdict(number))

    def number(self, number: str) -> Number | None:
        return self._numbers.get(number)

    def numbers(self, account_sid: str | None = None) -> list[Number]:
        """All that is ours; of one account its phone numbers, among which Twilio counts no WhatsApp sender."""
        if account_sid is None:
            return list(self._numbers.values())
        return [
            one
            for one in self._numbers.values()
            if one.account_sid == account_sid and one.number.startswith("+")
        ]

    def account(self, account_sid: str) -> Account | None:
        """The account, where it was configured."""
        return self._accounts.get(account_sid)

    def signing_token(self, account_sid: str) -> str:
        """The token that signs this account's webhooks."""
        account = self._accounts.get(account_sid)
        if account is not None:
            return account.auth_token
        return self._learned.get(account_sid) or self._accounts[self.default_sid].auth_token

    def authenticate(self, exchange: Exchange, account_sid: str) -> None:
        """Check basic authentication against the account in the path. Raises TwilioError 20003."""
        user, password = _basic(exchange.headers.get("authorization", ""))
        account = self._accounts.get(account_sid)
        if not self._accepts(account, account_sid, user, password):
            raise TwilioError(20003)
        if account is None and user == account_sid:
            self._learned[account_sid] = password

    def _accepts(self, account: Account | None, account_sid: str, user: str, password: str) -> bool:
        if not password:
            return False
        if user.startswith("SK"):
            return account is None or not account.api_keys or account.api_keys.get(user) == password
        return user == account_sid and (account is None or account.auth_token == password)

    def records(self) -> list[Record]:
        accounts: list[Record] = [("twilio.account", asdict(account)) for account in self._accounts.values()]
        return accounts + [("twilio.number", asdict(number)) for number in self._numbers.values()]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "twilio.number":
            self._numbers[data["number"]] = Number(**data)
        elif data["sid"] != self.default_sid:
            self._accounts[data["sid"]] = Account(**data)


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
