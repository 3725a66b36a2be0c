"""What is at the sandbox's Vapi, and the hand that damages it."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from typing import Any

import requests
from django.core.management import call_command
from django.core.management.base import CommandError

from telephony.models import Assistant, ToolRegistration
from tests.clinics import Clinic
from tests.sandbox.running import RunningSandbox
from voxanne.tenancy.scope import org_scope

Json = dict[str, Any]
PROMPT = "You are the receptionist. Speak slowly."


class AtVapi:
    """Vapi's REST interface as a person with the dashboard would use it."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self.sandbox = sandbox

    def set_up(self, clinic: Clinic) -> None:
        """An assistant and an imported number, with everything left at Vapi's defaults."""
        model = {
            "provider": "anthropic",
            "model": "claude-sonnet-4-20250514",
            "temperature": 0.3,
            "messages": [{"role": "system", "content": PROMPT}],
        }
        self.sandbox.control(
            "/vapi/records/assistant",
            {"id": clinic.assistant_id, "name": clinic.org.name, "model": model, "firstMessage": "Good day."},
        )
        self.sandbox.control(
            "/vapi/records/phone-number",
            {
                "id": clinic.phone_number_id,
                "provider": "twilio",
                "number": clinic.number,
                "smsEnabled": True,
                "assistantId": clinic.assistant_id,
            },
        )

    def ask(self, method: str, path: str, body: Json | None = None) -> Any:
        answer = requests.request(
            method,
            f"{self.sandbox.url}/vapi{path}",
            json=body,
            headers={"Authorization": "Bearer private-key"},
            timeout=5,
        )
        assert answer.ok, answer.text
        return answer.json()

    def tools(self, clinic: Clinic) -> dict[str, Json]:
        """The tools at this clinic's address by name; fails when two have one name."""
        mine = self.tools_by_address(clinic.org.slug)
        named = {tool["function"]["name"]: tool for tool in mine}
        assert len(named) == len(mine)
        return named

    def tools_by_address(self, slug: str) -> list[Json]:
        return [tool for tool in self.all_tools() if f"clinic={slug}" in tool["server"]["url"]]

    def all_tools(self) -> list[Json]:
        return list(self.ask("GET", "/tool?limit=1000"))

    def assistant(self, clinic: Clinic) -> Json:
        with org_scope(clinic.id):
            known = Assistant.objects.get()
        return dict(self.ask("GET", f"/assistant/{known.vapi_assistant_id}"))

    def number(self, clinic: Clinic) -> Json:
        return dict(self.ask("GET", f"/phone-number/{clinic.phone_number_id}"))

    def change(self, kind: str, record_id: str, **members: Any) -> None:
        self.ask("PATCH", f"/{kind}/{record_id}", members)

    def remove(self, kind: str, record_id: str) -> None:
        self.ask("DELETE", f"/{kind}/{record_id}")

    def everything(self) -> str:
        """All records, without the time of their last change."""
        records = {
            kind: self.ask("GET", f"/{kind}?limit=1000") for kind in ("tool", "assistant", "phone-number")
        }
        return json.dumps(records, sort_keys=True)

    def written(self) -> list[Json]:
        """The requests that changed something, oldest first."""
        asked = self.sandbox.control("/requests?service=vapi&limit=1000")
        return [one for one in reversed(asked) if one["method"] != "GET"]


def run(command: str, *words: str) -> tuple[int, str]:
    """A management command's exit code and everything it said."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stderr(err):
            call_command(command, *words, stdout=out, stderr=err)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except CommandError as error:
        code = 1
        err.write(str(error))
    return code, out.getvalue() + err.getvalue()


def sync(*words: str) -> tuple[int, str]:
    return run("sync_vapi_tools", *words)


def registered(clinic: Clinic) -> dict[str, str]:
    """Our own table: tool name to id at Vapi."""
    with org_scope(clinic.id):
        return dict(ToolRegistration.objects.values_list("name", "vapi_tool_id"))
