"""Google's OAuth 2.0: consent page, token endpoint (three grants), revocation."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.journal import Journal, Record

TOKEN_SECONDS = 3599
CODE_SECONDS = 600
CALENDAR_SCOPES = (
    "https://www.googleapis.com/auth/calendar.events https://www.googleapis.com/auth/calendar.freebusy"
)
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class InvalidGrant(Exception):
    """The token endpoint refuses; ``error`` is OAuth's error code."""

    def __init__(
        self, error: str = "invalid_grant", description: str = "Token has been expired or revoked."
    ) -> None:
        super().__init__(description)
        self.error = error


@dataclass
class Grant:
    """What an authorisation code or refresh token stands for."""

    email: str
    scope: str
    redirect_uri: str = ""
    code_challenge: str = ""
    expires_at: float = 0.0


class Tokens:
    """A refresh token never seen before is taken as valid, for an account named after its digest."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.clear()

    def clear(self) -> None:
        self._access: dict[str, tuple[str, float]] = {}
        self._codes: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        self._revoked: set[str] = set()
        self.refuse_all = False

    def issue_code(self, grant: Grant) -> str:
        code = "4/0A" + secrets.token_urlsafe(32)
        grant.expires_at = time.time() + CODE_SECONDS
        self._codes[code] = grant
        return code

    def revoke(self, token: str) -> None:
        """A refresh or access token dies."""
        self._revoked.add(token)
        self._access.pop(token, None)
        self._journal.append("google.revoked", {"token": token})

    def restore_grant(self, token: str) -> None:
        self._revoked.discard(token)
        self._journal.append("google.unrevoked", {"token": token})

    def expire_access_tokens(self) -> None:
        self._access.clear()

    def principal(self, exchange: Exchange) -> str:
        """The account a bearer token belongs to. Raises GoogleError 401."""
        scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
        email, expires_at = self._access.get(token, ("", 0.0))
        if scheme.lower() != "bearer" or expires_at < time.time():
            raise GoogleError(401)
        return email

    async def token(self, exchange: Exchange) -> Response:
        """The token endpoint."""
        try:
            return JSONResponse(self._granted(exchange.form))
        except InvalidGrant as error:
            return JSONResponse({"error": error.error, "error_description": str(error)}, status_code=400)

    def _granted(self, form: dict[str, str]) -> dict[str, Any]:
        if self.refuse_all:
            raise InvalidGrant()
        kind = form.get("grant_type")
        if kind == "refresh_token":
            return self._from_refresh_token(form)
        if kind == "authorization_code":
            return self._from_code(form)
        if kind == JWT_BEARER:
            return self._access_token(_assertion_email(form.get("assertion", "")), CALENDAR_SCOPES)
        raise InvalidGrant("unsupported_grant_type", f"Invalid grant_type: {kind}")

    def _from_refresh_token(self, form: dict[str, str]) -> dict[str, Any]:
        token = form.get("refresh_token", "")
        if not token or not form.get("client_id"):
            raise InvalidGrant("invalid_request", "Missing required parameter: refresh_token or client_id")
        if token in self._revoked:
            raise InvalidGrant()
        grant = self._refresh.get(token) or Grant(
            email=email_of(token), scope=form.get("scope") or CALENDAR_SCOPES
        )
        return self._access_token(grant.email, grant.scope)

    def _from_code(self, form: dict[str, str]) -> dict[str, Any]:
        grant = self._codes.pop(form.get("code", ""), None)
        if grant is None or grant.expires_at < time.time():
            raise InvalidGrant(description="Bad Request")
        if form.get("redirect_uri") != grant.redirect_uri:
            raise InvalidGrant("redirect_uri_mismatch", "Bad Request")
        if grant.code_challenge and grant.code_challenge != _challenge(form.get("code_verifier", "")):
            raise InvalidGrant(description="Invalid code verifier.")
        token = "1//0" + secrets.token_urlsafe(48)
        self._refresh[token] = grant
        self._journal.append("google.refresh", {"token": token, "email": grant.email, "scope": grant.scope})
        return {**self._access_token(grant.email, grant.scope), "refresh_token": token}

    def _access_token(self, email: str, scope: str) -> dict[str, Any]:
        token = "ya29." + secrets.token_urlsafe(48)
        self._access[token] = (email, time.time() + TOKEN_SECONDS)
        return {"access_token": token, "expires_in": TOKEN_SECONDS, "scope": scope, "token_type": "Bearer"}

    def records(self) -> list[Record]:
        grants: list[Record] = [
            ("google.refresh", {"token": token, "email": grant.email, "scope": grant.scope})
            for token, grant in self._refresh.items()
        ]
        return grants + [("google.revoked", {"token": token}) for token in self._revoked]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "google.refresh":
            self._refresh[data["token"]] = Grant(email=data["email"], scope=data["scope"])
        elif kind == "google.revoked":
            self._revoked.add(data["token"])
        elif kind == "google.unrevoked":
            self._revoked.discard(data["token"])


def email_of(refresh_token: str) -> str:
    """The account an unknown refresh token is taken to belong to."""
    return f"calendar-{hashlib.sha256(refresh_token.encode()).hexdigest()[:8]}@sandbox.example"


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _assertion_email(assertion: str) -> str:
    parts = assertion.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        issuer, subject, expires_at = claims["iss"], claims.get("sub"), float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise InvalidGrant(description="Invalid JWT.") from error
    if len(parts) != 3 or expires_at < time.time():
        raise InvalidGrant(
            description="Invalid JWT: Token must be a short-lived token and in a reasonable timeframe."
        )
    return str(subject or issuer)
