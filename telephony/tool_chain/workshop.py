"""What one run works with: Vapi, the tools it has, and whose each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telephony.tool_chain import our_side
from telephony.tool_chain.differences import sendable
from telephony.tool_chain.our_side import OurSide
from telephony.tool_chain.wanted import is_clinics_address
from telephony.vapi.rest import TOOL, Record, Vapi

# Of a server at Vapi these are for a person to choose there; everything else of it is ours.
CHOSEN_THERE = ("credentialId", "staticIpAddressesEnabled")


class Workshop:
    """Shared by the clinics of one run, so that Vapi is asked for each list once, however many they are."""

    def __init__(self, vapi: Vapi, backend_url: str, *, check_only: bool) -> None:
        self.vapi = vapi
        self.backend_url = backend_url
        self.check_only = check_only
        self._owners = our_side.owners_of_tools()
        self._lists: dict[str, dict[str, Record]] = {}
        self.list_tools()

    def list_tools(self) -> None:
        """Asks Vapi for every tool it has. Raises VapiFault."""
        self._tools = {tool["id"]: tool for tool in self.vapi.every(TOOL)}

    def seen(self, kind: str, record_id: str) -> Record | None:
        """The record as the run's one list shows it; asked for by its id where that does not. Raises VapiFault."""
        if kind not in self._lists:
            self._lists[kind] = {record["id"]: record for record in self.vapi.every(kind)}
        return self._lists[kind].get(record_id) or self.vapi.find(kind, record_id)

    def any_tool(self, tool_id: str) -> Record | None:
        """A tool whoever's it is: to look at, never to change."""
        return self._tools.get(tool_id)

    def tool(self, tool_id: str, clinic: OurSide) -> Record | None:
        """The tool with this id, unless Vapi has none or it is registered to another clinic."""
        return self._tools.get(tool_id) if self._owners.get(tool_id, clinic.org_id) == clinic.org_id else None

    def tools_at_our_address(self, clinic: OurSide) -> list[Record]:
        """The tools that ask this clinic's address, those registered to another clinic left out."""
        return [
            tool
            for tool_id, tool in self._tools.items()
            if self._owners.get(tool_id, clinic.org_id) == clinic.org_id
            and is_clinics_address((tool.get("server") or {}).get("url"), self.backend_url, clinic.slug)
        ]

    def keep(self, tool: Record, named: str = "") -> Record:
        """Remembers a tool as Vapi has it now."""
        self._tools[named or tool["id"]] = tool
        return tool

    def remove(self, tool_id: str) -> None:
        """Removes a tool at Vapi. Raises VapiFault, with status 409 where something still pins it."""
        self.vapi.remove(TOOL, tool_id)
        self._tools.pop(tool_id, None)


def named(tool: Mapping[str, Any]) -> str:
    """The name by which the model calls a tool; blank for tools of Vapi's own kinds."""
    function = tool.get("function")
    return str(function.get("name") or "") if isinstance(function, Mapping) else ""


def whole_server(server: Mapping[str, Any], found: Mapping[str, Any]) -> Record:
    """The server to write: ours, and what a person chose at Vapi, since Vapi replaces it as a whole."""
    there = found.get("server") or {}
    kept = {name: there[name] for name in CHOSEN_THERE if there.get(name) is not None}
    return {**kept, **sendable(server)}
