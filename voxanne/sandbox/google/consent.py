"""The consent page of Google's OAuth 2.0, with PKCE, and token revocation."""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, RedirectResponse, Response

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.google.tokens import Grant, Tokens

REQUIRED = ("client_id", "redirect_uri", "response_type", "scope")


class Consent:
    """GET shows who asks for what; POST is the person's choice and redirects back."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def page(self, exchange: Exchange) -> Response:
        query = exchange.query
        missing = [name for name in REQUIRED if not query.get(name)]
        if missing or query.get("response_type") != "code":
            problem = f"Missing required parameter: {missing[0]}" if missing else "response_type must be code"
            return HTMLResponse(_document("Access blocked", f"<p>{escape(problem)}</p>"), status_code=400)
        if query.get("auto") == "1":
            return self._agreed({**query, "email": query.get("login_hint") or "doctor@sandbox.example"})
        return HTMLResponse(_document("Sign in to the sandbox", _form(query)))

    async def choose(self, exchange: Exchange) -> Response:
        form = exchange.form
        if not form.get("redirect_uri"):
            return HTMLResponse(
                _document("Access blocked", "<p>redirect_uri is missing</p>"), status_code=400
            )
        if form.get("choice") != "allow":
            return _back(form["redirect_uri"], {"error": "access_denied", "state": form.get("state", "")})
        return self._agreed(form)

    def _agreed(self, form: dict[str, str]) -> Response:
        grant = Grant(
            email=form.get("email") or "doctor@sandbox.example",
            scope=form.get("scope", ""),
            redirect_uri=form["redirect_uri"],
            code_challenge=form.get("code_challenge", ""),
        )
        code = self._tokens.issue_code(grant)
        return _back(
            form["redirect_uri"], {"code": code, "scope": grant.scope, "state": form.get("state", "")}
        )

    async def revoke(self, exchange: Exchange) -> Response:
        self._tokens.revoke(exchange.form.get("token") or exchange.query.get("token", ""))
        return Response(b"{}", media_type="application/json")


def _back(redirect_uri: str, members: dict[str, str]) -> Response:
    joint = "&" if "?" in redirect_uri else "?"
    return RedirectResponse(f"{redirect_uri}{joint}{urlencode(members)}", status_code=302)


def _form(query: dict[str, str]) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in query.items()
        if name != "login_hint"
    )
    scopes = "".join(f"<li>{escape(scope)}</li>" for scope in query["scope"].split())
    hint = escape(query.get("login_hint") or "doctor@sandbox.example")
    return (
        f"<p><strong>{escape(query['client_id'])}</strong> wants to use your calendar:</p><ul>{scopes}</ul>"
        f'<form method="post">{hidden}<label>Account <input name="email" type="email" value="{hint}"></label>'
        '<p><button name="choice" value="allow">Allow</button> '
        '<button name="choice" value="deny">Cancel</button></p></form>'
    )


def _document(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:12vh auto;padding:0 1rem}"
        "button,input{font:inherit;padding:.5rem .9rem}</style>"
        f"<h1>{title}</h1>{body}</html>"
    )
