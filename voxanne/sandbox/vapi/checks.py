"""The checks Vapi makes on what is written to it. Source: api.vapi.ai's OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

from voxanne.sandbox.vapi.errors import VapiError

FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
LONGEST_NAME = 40
SERVER_SECONDS = (1, 300)
READ_ONLY = ("id", "orgId", "createdAt", "updatedAt")


def check(kind: str, body: Any, *, is_new: bool) -> dict[str, Any]:
    """The body, when Vapi would take it. Raises VapiError 400 with every fault found."""
    if not isinstance(body, dict):
        raise VapiError(400, "Request body must be a JSON object.")
    faults = [f"property {name} should not exist" for name in READ_ONLY if name in body]
    name = body.get("name")
    if name is not None and (not isinstance(name, str) or len(name) > LONGEST_NAME):
        faults.append(f"name must be shorter than or equal to {LONGEST_NAME} characters")
    faults += _server_faults(body.get("server"))
    if kind == "tool":
        faults += _tool_faults(body, is_new=is_new)
    if kind == "phone-number" and is_new and not body.get("provider"):
        faults.append("provider must be a string")
    if faults:
        raise VapiError(400, faults)
    return body


def _tool_faults(body: dict[str, Any], *, is_new: bool) -> list[str]:
    faults = []
    if is_new and not isinstance(body.get("type"), str):
        faults.append("type must be a string")
    function = body.get("function")
    if function is None:
        return faults + (
            ["function should not be empty"] if is_new and body.get("type") == "function" else []
        )
    if not isinstance(function, dict) or not FUNCTION_NAME.fullmatch(str(function.get("name", ""))):
        faults.append("function.name must match /^[a-zA-Z0-9_-]{1,64}$/ regular expression")
    return faults


def _server_faults(server: Any) -> list[str]:
    if server is None:
        return []
    if not isinstance(server, dict):
        return ["server must be an object"]
    faults = []
    if not str(server.get("url", "https://")).startswith(("https://", "http://")):
        faults.append("server.url must be a URL address")
    seconds = server.get("timeoutSeconds", 20)
    if not isinstance(seconds, (int, float)) or not SERVER_SECONDS[0] <= seconds <= SERVER_SECONDS[1]:
        faults.append("server.timeoutSeconds must lie between 1 and 300")
    if "secret" in server:
        faults.append("server.property secret should not exist")
    return faults
