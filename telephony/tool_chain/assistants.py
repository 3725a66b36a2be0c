"""A clinic's assistants at Vapi: found or made again, told how to reach us, and linked with the clinic's tools."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from telephony.tool_chain import our_side, wanted
from telephony.tool_chain.differences import differing, sendable
from telephony.tool_chain.our_side import OurAssistant, OurSide
from telephony.tool_chain.report import ClinicReport, Item, Kind, State
from telephony.tool_chain.workshop import Workshop, named, whole_server
from telephony.vapi.rest import ASSISTANT, Record, VapiFault


class AssistantSync:
    """One clinic's assistants; ``read`` first, then ``link``."""

    def __init__(self, workshop: Workshop, clinic: OurSide, report: ClinicReport) -> None:
        self._workshop = workshop
        self._clinic = clinic
        self._report = report
        self._found: list[tuple[OurAssistant | None, Record | None]] = []
        self.answering = ""

    @property
    def linked(self) -> set[str]:
        """The ids of all tools that any of the assistants is linked with."""
        return {tool_id for _, record in self._found for tool_id in _model(record or {}).get("toolIds") or ()}

    def read(self) -> None:
        """Asks Vapi for each of them. Raises VapiFault."""
        for known in self._clinic.assistants:
            self._found.append((known, self._workshop.seen(ASSISTANT, known.vapi_id)))
        if not self._found and self._clinic.needs_assistant:
            self._found.append((None, None))

    def link(self, tools: Mapping[str, str], left_over: Mapping[str, Record]) -> None:
        """Each one with these tools (name to id, blank where a tool is missing), and none of ``left_over``."""
        for known, record in self._found:
            name = known.name if known else self._clinic.name
            state = State.AS_WANTED
            if record is None:
                state = State.CREATED
                record = None if self._workshop.check_only else self._make(known, name)
            if record is None:
                self._say(Kind.ASSISTANT, name, known.vapi_id if known else "", State.CREATED)
                self._say(Kind.LINK, name, "", State.REPAIRED, tuple(tools))
                continue
            self._one(name, record, state, tools, left_over)
            self.answering = self.answering or str(record["id"])

    def _one(
        self,
        name: str,
        record: Record,
        state: State,
        tools: Mapping[str, str],
        left_over: Mapping[str, Record],
    ) -> None:
        body = wanted.assistant_body(self._clinic, self._workshop.backend_url)
        faults = differing(body, record)
        model = self._merged(_model(record), tools, left_over)
        link_faults = self._link_faults(_model(record), model, tools)
        assistant_id = str(record["id"])
        if (faults or link_faults) and not self._workshop.check_only:
            still = self._write(assistant_id, body, tools, left_over)
            if still:
                sentence = f"Vapi did not take the change of {', '.join(still)}"
                self._say(Kind.ASSISTANT, name, assistant_id, State.TROUBLE, (sentence,))
                return
        repaired = state if state is State.CREATED or not faults else State.REPAIRED
        self._say(Kind.ASSISTANT, name, assistant_id, repaired, tuple(faults))
        linked = State.REPAIRED if link_faults else State.AS_WANTED
        self._say(Kind.LINK, name, assistant_id, linked, tuple(link_faults))

    def _write(
        self,
        assistant_id: str,
        body: Mapping[str, Any],
        tools: Mapping[str, str],
        left_over: Mapping[str, Record],
    ) -> list[str]:
        """Reads it, merges, writes the whole model, reads it again; returns what is still not as wanted."""
        vapi = self._workshop.vapi
        record = vapi.find(ASSISTANT, assistant_id) or {}
        model = self._merged(_model(record), tools, left_over)
        change = {**sendable(body), "model": model, "server": whole_server(body["server"], record)}
        vapi.change(ASSISTANT, assistant_id, change)
        again = vapi.find(ASSISTANT, assistant_id) or {}
        return [*differing(body, again), *differing({"model": model}, again)]

    # --- The model ---------------------------------------------------------------------------------

    def _merged(
        self, model: Mapping[str, Any], tools: Mapping[str, str], left_over: Mapping[str, Record]
    ) -> Record:
        """The whole model with our tools in it, once each, in place of any other of the same names."""
        ours = [tool_id for tool_id in tools.values() if tool_id]
        ids = list(dict.fromkeys(model.get("toolIds") or ()))
        kept = [tool_id for tool_id in ids if tool_id in ours or self._may_stay(tool_id, tools, left_over)]
        merged = {**(model or wanted.DEFAULT_MODEL)}
        merged["toolIds"] = kept + [tool_id for tool_id in ours if tool_id not in kept]
        if model.get("tools"):
            merged["tools"] = [tool for tool in model["tools"] if named(tool) not in tools]
        if model.get("toolRefs"):
            # A pinned version would outlive every change of the tool.
            merged["toolRefs"] = [
                pin
                for pin in model["toolRefs"]
                if pin.get("toolId") not in ours and self._may_stay(str(pin.get("toolId")), tools, left_over)
            ]
        return merged

    def _may_stay(self, tool_id: str, tools: Collection[str], left_over: Collection[str]) -> bool:
        """Whether the link to a tool that is not ours is the clinic's own affair: the tool exists, and answers
        to no name of ours."""
        tool = self._workshop.any_tool(tool_id)
        return tool is not None and tool_id not in left_over and named(tool) not in tools

    def _link_faults(
        self, found: Mapping[str, Any], merged: Mapping[str, Any], tools: Mapping[str, str]
    ) -> list[str]:
        names = {tool_id: name for name, tool_id in tools.items() if tool_id}
        before, after = list(found.get("toolIds") or ()), merged["toolIds"]
        faults = [f"{names[tool_id]} was not linked" for tool_id in after if tool_id not in before]
        faults += [f"{name} is missing" for name, tool_id in tools.items() if not tool_id]
        faults += [f"{self._told(tool_id)} was linked" for tool_id in before if tool_id not in after]
        if len(before) != len(set(before)):
            faults.append("a tool was linked twice")
        for member in ("tools", "toolRefs"):
            if (found.get(member) or []) != (merged.get(member) or []):
                faults.append(f"model.{member} named a tool of ours")
        return faults if found else ["the model was missing", *faults]

    def _told(self, tool_id: str) -> str:
        tool = self._workshop.any_tool(tool_id)
        if tool is None:
            return f"a tool that is gone ({tool_id})"
        return f"another {named(tool) or 'tool'} ({tool_id})"

    # --- One that Vapi no longer has ---------------------------------------------------------------

    def _make(self, known: OurAssistant | None, name: str) -> Record:
        """The clinic's assistant at Vapi under an id that we lost, else a new one. Raises VapiFault."""
        record = self._at_our_address()
        if record is None:
            body = sendable(wanted.new_assistant(self._clinic, self._workshop.backend_url))
            try:
                record = self._workshop.vapi.create(ASSISTANT, body)
            except VapiFault as fault:
                record = self._at_our_address() if fault.unsure else None
                if record is None:
                    raise
        our_side.remember_assistant(
            self._clinic.org_id, known, str(record["id"]), name[: wanted.LONGEST_NAME]
        )
        return record

    def _at_our_address(self) -> Record | None:
        """The oldest assistant that reports to this clinic's address and is registered to nobody."""
        owners = our_side.owners_of_assistants()
        candidates = [
            record
            for record in self._workshop.vapi.every(ASSISTANT)
            if record["id"] not in owners
            and wanted.is_clinics_address(
                (record.get("server") or {}).get("url"), self._workshop.backend_url, self._clinic.slug
            )
        ]
        return min(candidates, key=lambda record: str(record.get("createdAt", "")), default=None)

    def _say(self, kind: Kind, name: str, vapi_id: str, state: State, faults: tuple[str, ...] = ()) -> None:
        self._report.items.append(Item(kind, name, vapi_id, state, faults))


def _model(record: Mapping[str, Any]) -> Mapping[str, Any]:
    model = record.get("model")
    return model if isinstance(model, Mapping) else {}
