"""The agent's tools, assistants and numbers at Vapi, made as they are wanted. Running it again changes nothing.

An assistant's model is read, merged and written as a whole, and read again, since Vapi replaces it as a whole.
A tool is a clinic's by its registration or by its server address; nothing else at Vapi is ever changed or
removed. One run at a time may change things: two would both make what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings

from monitoring.breaker import only_looking
from monitoring.sole_run import sole_errand
from telephony.tool_chain import our_side, wanted
from telephony.tool_chain.assistants import AssistantSync
from telephony.tool_chain.differences import differing, sendable
from telephony.tool_chain.our_side import OurSide, Registered
from telephony.tool_chain.report import ClinicReport, Item, Kind, State, one_clinics_turn
from telephony.tool_chain.workshop import Workshop, named, whole_server
from telephony.tools.catalogue import Tool
from telephony.vapi.rest import PHONE_NUMBER, TOOL, Record, Vapi, VapiFault


def sync_clinics(
    clinics: Iterable[tuple[UUID, str]],
    *,
    check_only: bool,
    vapi: Vapi | None = None,
    tools: Iterable[Tool] | None = None,
) -> list[ClinicReport]:
    """Looks at each clinic, and repairs what differs unless ``check_only``. One clinic's failure stops no other.

    Raises VapiFault when Vapi cannot be asked which tools it has, or another run is under way.
    """
    if check_only:
        with only_looking():
            return _looked_at(clinics, Workshop(vapi or Vapi(), settings.BACKEND_URL, check_only=True), tools)
    with sole_errand("sync of tools at Vapi") as alone:
        if not alone:
            raise VapiFault("Another run is under way: wait for its end, then run this again.")
        return _looked_at(clinics, Workshop(vapi or Vapi(), settings.BACKEND_URL, check_only=False), tools)


def _looked_at(
    clinics: Iterable[tuple[UUID, str]], workshop: Workshop, tools: Iterable[Tool] | None
) -> list[ClinicReport]:
    chosen = None if tools is None else list(tools)
    reports = []
    for org_id, slug in clinics:
        report = ClinicReport(org_id, slug, workshop.check_only)
        reports.append(report)
        with one_clinics_turn(report, VapiFault):
            ClinicSync(workshop, our_side.our_side(org_id), report, chosen).run()
    return reports


class ClinicSync:
    """One clinic's look and repair."""

    def __init__(
        self, workshop: Workshop, clinic: OurSide, report: ClinicReport, tools: list[Tool] | None
    ) -> None:
        self._workshop = workshop
        self._clinic = clinic
        self._report = report
        needed = clinic.needs_assistant
        self._bodies = wanted.tool_bodies(clinic, workshop.backend_url, tools) if needed else {}
        self._ids: dict[str, str] = {}

    def run(self) -> None:
        assistants = AssistantSync(self._workshop, self._clinic, self._report)
        assistants.read()
        for name, body in self._bodies.items():
            self._ids[name] = self._tool(name, body, assistants.linked)
        assistants.link(self._ids, self._left_over())
        for line in self._clinic.lines:
            if line.vapi_id:
                self._number(line)
        self._remove_left_over()
        self._remember(assistants.answering)

    # --- Tools -----------------------------------------------------------------------------------

    def _tool(self, name: str, body: Mapping[str, Any], linked: set[str]) -> str:
        """The id of the clinic's one tool of this name; blank where it is missing and may not be made."""
        found = self._keeper(name, linked)
        if found is None:
            made = None if self._workshop.check_only else self._make(name, body)
            self._say(Kind.TOOL, name, made, State.CREATED, differing(body, made) if made else ())
            return made["id"] if made else ""
        faults = differing(body, found)
        if faults and not self._workshop.check_only:
            change = {**sendable(body), "server": whole_server(body["server"], found)}
            del change["type"]
            found = self._workshop.keep(
                self._workshop.vapi.change(TOOL, found["id"], change), named=found["id"]
            )
            self._confirm(Kind.TOOL, name, found, differing(body, found), faults)
        elif faults:
            self._say(Kind.TOOL, name, found, State.REPAIRED, faults)
        else:
            self._say(Kind.TOOL, name, found, State.AS_WANTED)
        return str(found["id"])

    def _keeper(self, name: str, linked: set[str]) -> Record | None:
        """Which of this clinic's tools of this name stays: the registered one, else a linked one, else the oldest."""
        registered = self._clinic.registered.get(name)
        if registered is not None:
            found = self._workshop.tool(registered.vapi_id, self._clinic)
            if found is not None:
                return found
        others = {known.vapi_id for other, known in self._clinic.registered.items() if other != name}
        candidates = [
            tool
            for tool in self._workshop.tools_at_our_address(self._clinic)
            if named(tool) == name and tool["id"] not in others
        ]
        candidates.sort(key=lambda tool: (tool["id"] not in linked, str(tool.get("createdAt", ""))))
        return candidates[0] if candidates else None

    def _make(self, name: str, body: Mapping[str, Any]) -> Record:
        """Raises VapiFault. Where the answer was lost, what it may have made is looked for."""
        try:
            return self._workshop.keep(self._workshop.vapi.create(TOOL, sendable(body)))
        except VapiFault as fault:
            if not fault.unsure:
                raise
            self._workshop.list_tools()
            found = self._keeper(name, set())
            if found is None:
                raise
            return found

    # --- Numbers ---------------------------------------------------------------------------------

    def _number(self, line: our_side.Line) -> None:
        found = self._workshop.seen(PHONE_NUMBER, line.vapi_id)
        if found is None:
            self._trouble(line, "Vapi has no number with this id: import it there, and enter its new id.")
            return
        if found.get("number") not in (None, line.number):
            self._trouble(line, "this id is another number's at Vapi: correct it.")
            return
        provider = str(found.get("provider") or "")
        body = wanted.number_body(line, self._clinic, self._workshop.backend_url, provider)
        faults = differing(body, found)
        if not faults:
            self._say(Kind.NUMBER, line.number, found, State.AS_WANTED)
        elif self._workshop.check_only:
            self._say(Kind.NUMBER, line.number, found, State.REPAIRED, faults)
        else:
            self._repair_number(line, body, faults)

    def _repair_number(self, line: our_side.Line, body: Mapping[str, Any], faults: list[str]) -> None:
        vapi = self._workshop.vapi
        found = vapi.find(PHONE_NUMBER, line.vapi_id) or {}
        # A null is what lets go of a fixed assistant; where none is set, none is sent.
        nulls = {name: None for name, value in body.items() if value is None and found.get(name)}
        change = {**sendable(body), **nulls, "server": whole_server(body["server"], found)}
        if found.get("provider"):
            change["provider"] = found["provider"]
        vapi.change(PHONE_NUMBER, line.vapi_id, change)
        again = vapi.find(PHONE_NUMBER, line.vapi_id) or {}
        self._confirm(Kind.NUMBER, line.number, again, differing(body, again), faults)

    def _trouble(self, line: our_side.Line, sentence: str) -> None:
        self._report.items.append(Item(Kind.NUMBER, line.number, line.vapi_id, State.TROUBLE, (sentence,)))

    # --- What nobody wants, and what is remembered -----------------------------------------------

    def _left_over(self) -> dict[str, Record]:
        """This clinic's tools at Vapi that are none of the wanted ones."""
        registered = [known.vapi_id for known in self._clinic.registered.values()]
        mine = [
            *self._workshop.tools_at_our_address(self._clinic),
            *(self._workshop.tool(tool_id, self._clinic) for tool_id in registered),
        ]
        kept = set(self._ids.values())
        return {tool["id"]: tool for tool in mine if tool is not None and tool["id"] not in kept}

    def _remove_left_over(self) -> None:
        for tool in self._left_over().values():
            if not self._workshop.check_only:
                try:
                    self._workshop.remove(tool["id"])
                except VapiFault as fault:
                    if fault.outage:
                        raise
                    self._say(Kind.TOOL, named(tool), tool, State.TROUBLE, [str(fault)])
                    continue
            self._say(Kind.TOOL, named(tool), tool, State.REMOVED)

    def _remember(self, assistant_id: str) -> None:
        """Stores the ids; a tool that was right at Vapi but not in our own table is told as repaired."""
        now = {
            name: Registered(tool_id, assistant_id, wanted.digest_of(self._bodies[name]))
            for name, tool_id in self._ids.items()
        }
        for number, item in enumerate(self._report.items):
            unknown = item.name in now and self._clinic.registered.get(item.name) != now[item.name]
            if item.kind is Kind.TOOL and item.state is State.AS_WANTED and unknown:
                told = Item(item.kind, item.name, item.there, State.REPAIRED, ("our own registration",))
                self._report.items[number] = told
        if self._workshop.check_only:
            return
        our_side.remember_tools(self._clinic.org_id, now)
        if not self._report.troubled:
            our_side.note_synced(self._clinic.org_id)

    # --- Telling ---------------------------------------------------------------------------------

    def _confirm(
        self, kind: Kind, name: str, record: Record, still: Iterable[str], faults: Iterable[str]
    ) -> None:
        """What was read again after the change says whether it took."""
        still = tuple(still)
        if still:
            sentence = f"Vapi did not take the change of {', '.join(still)}"
            self._say(kind, name, record, State.TROUBLE, [sentence])
        else:
            self._say(kind, name, record, State.REPAIRED, faults)

    def _say(
        self, kind: Kind, name: str, record: Record | None, state: State, faults: Iterable[str] = ()
    ) -> None:
        vapi_id = str(record.get("id", "")) if record else ""
        self._report.items.append(Item(kind, name, vapi_id, state, tuple(faults)))
