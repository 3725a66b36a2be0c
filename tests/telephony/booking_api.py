"""The booking API as the tests call it: tokens of every make, and one request."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from django.conf import settings
from django.test import Client

from tests.clinics import Clinic

ADDRESS = "/api/vapi/booking"
CLIENT = Client(raise_request_exception=False)
Json = dict[str, Any]


def claims(clinic: Clinic, **changes: Any) -> Json:
    """What a good token says; a change to None leaves the claim out."""
    given = {
        "aud": "voxanne",
        "org_id": str(clinic.id),
        "sub": "a-partner",
        "exp": int(time.time()) + 600,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def token(clinic: Clinic, secret: str | None = None, **changes: Any) -> str:
    return jwt.encode(claims(clinic, **changes), secret or settings.JWT_SECRET, algorithm="HS256")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@dataclass
class Answer:
    status: int
    body: Json
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The error's code; every error says that it is none, and nothing beside it."""
        assert set(self.body) == {"success", "error"}, self.body
        assert self.body["success"] is False
        error = self.body["error"]
        assert error["message"].endswith(".")
        return str(error["code"])


@dataclass
class Partner:
    """Somebody who books at a clinic through the API."""

    clinic: Clinic
    subject: str = "a-partner"
    credential: dict[str, str] = field(default_factory=dict)

    def wish(self, **changes: Any) -> Json:
        """A good ``tool_input``; a change to None leaves the field out."""
        given = {
            "provider_id": str(self.clinic.providers[0].pk),
            "appointment_date": self.clinic.next_weekday().isoformat(),
            "appointment_time": "10:00",
            "patient_name": "Dana Ruiz",
            "patient_phone": "+14155550142",
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    def book(self, key: str | None = None, **changes: Any) -> Answer:
        return self.send({"tool_name": "book_appointment", "tool_input": self.wish(**changes)}, key)

    def send(
        self,
        body: object,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        method: str = "POST",
    ) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        credential = self.credential or bearer(token(self.clinic, sub=self.subject))
        sent = {**credential, **({"Idempotency-Key": key} if key is not None else {}), **(headers or {})}
        answer = CLIENT.generic(method, ADDRESS, raw, content_type, headers=sent)
        return Answer(answer.status_code, json.loads(answer.content), answer.headers)


def some_key() -> str:
    return uuid.uuid4().hex
