"""Is a clinic's tool chain whole? From our public address to the assistant at Vapi and back, link by link.

The look is that of ``sync_vapi_tools --check``, told as verdicts; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from monitoring.findings import Finding, Verdict, worst
from monitoring.readiness_checks import backend_address
from telephony.tool_chain.our_side import OurSide, our_side
from telephony.tool_chain.report import ClinicReport, Item, Kind, State
from telephony.tool_chain.sync import sync_clinics
from telephony.tools.catalogue import TOOLS
from telephony.vapi.rest import Vapi, VapiFault

REPAIR = "Run `manage.py sync_vapi_tools --org {slug}`."


@dataclass(frozen=True, slots=True)
class ClinicChain:
    """One clinic's findings; those of no clinic have a blank slug."""

    slug: str
    org_id: UUID | None
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        return worst(self.findings)


def tool_chains(clinics: Iterable[tuple[UUID, str]], vapi: Vapi | None = None) -> list[ClinicChain]:
    """The platform's own findings first, then each clinic's. Never raises for what Vapi does."""
    chains = [ClinicChain("", None, tuple(backend_address()))]
    try:
        reports = sync_clinics(clinics, check_only=True, vapi=vapi)
    except VapiFault as fault:
        return [*chains, ClinicChain("", None, (_unreachable(fault),))]
    for report in reports:
        found = _clinic_findings(our_side(report.org_id), report)
        timed = tuple(replace(finding, milliseconds=report.milliseconds) for finding in found)
        chains.append(ClinicChain(report.slug, report.org_id, timed))
    return chains


def _unreachable(fault: VapiFault) -> Finding:
    return Finding("Vapi", Verdict.FAIL, str(fault), "Check VAPI_API_KEY and Vapi's own status page.")


def _clinic_findings(clinic: OurSide, report: ClinicReport) -> list[Finding]:
    if report.failure:
        return [Finding("Vapi", Verdict.FAIL, report.failure, "Look at the log, then run the check again.")]
    repair = REPAIR.format(slug=clinic.slug)
    return [
        _credential(clinic),
        _registrations(clinic, repair),
        _of_items("tools at Vapi", report.of(Kind.TOOL), repair, "tool", needed=clinic.needs_assistant),
        _of_items(
            "assistants", report.of(Kind.ASSISTANT), repair, "assistant", needed=clinic.needs_assistant
        ),
        _of_items("links", report.of(Kind.LINK), repair, "assistant's links", needed=clinic.needs_assistant),
        _numbers(clinic, report.of(Kind.NUMBER), repair),
    ]


def _credential(clinic: OurSide) -> Finding:
    if not clinic.presented.is_platforms:
        return Finding("credential", Verdict.PASS, "The clinic has a secret of its own.")
    if clinic.presented.secret:
        return Finding(
            "credential",
            Verdict.WARN,
            "Vapi presents the platform's secret for this clinic.",
            "Enter a Vapi credential for the clinic in the admin, then sync.",
        )
    return Finding(
        "credential",
        Verdict.FAIL,
        "There is no secret that Vapi could present: everything it sends is refused.",
        "Set VAPI_WEBHOOK_SECRET, or enter a Vapi credential for the clinic in the admin, then sync.",
    )


def _registrations(clinic: OurSide, repair: str) -> Finding:
    wanted = set(TOOLS) if clinic.needs_assistant else set()
    missing, retired = sorted(wanted - set(clinic.registered)), sorted(set(clinic.registered) - wanted)
    told = [f"not registered: {', '.join(missing)}"] if missing else []
    told += [f"no longer wanted: {', '.join(retired)}"] if retired else []
    if told:
        return Finding("registered tools", Verdict.FAIL, f"{'; '.join(told)}.", repair)
    return Finding("registered tools", Verdict.PASS, f"All {len(wanted)} are registered.")


def _of_items(check: str, items: Sequence[Item], repair: str, what: str, *, needed: bool) -> Finding:
    wrong = [item for item in items if item.state is not State.AS_WANTED]
    if wrong:
        troubled = any(item.state is State.TROUBLE for item in wrong)
        advice = "This needs a person at Vapi's dashboard." if troubled else repair
        return Finding(check, Verdict.FAIL, f"{'; '.join(map(_told, wrong))}.", advice)
    if not items and needed:
        return Finding(check, Verdict.FAIL, f"There is no {what}.", repair)
    return Finding(check, Verdict.PASS, f"{len(items)} as wanted." if items else "None is needed.")


def _told(item: Item) -> str:
    word = {State.CREATED: "is missing", State.REPAIRED: "differs", State.REMOVED: "is left over"}
    told = word.get(item.state, "needs a person")
    return f"{item.name} {told}{': ' if item.faults else ''}{', '.join(item.faults)}"


def _numbers(clinic: OurSide, items: Sequence[Item], repair: str) -> Finding:
    found = _of_items("numbers at Vapi", items, repair, "number", needed=False)
    if found.verdict is Verdict.FAIL:
        return found
    absent = [line.number for line in clinic.lines if line.needs_assistant and not line.vapi_id]
    lost = [line.number for line in clinic.lines if line.vapi_id and not line.forward_to]
    if absent:
        return replace(
            found,
            verdict=Verdict.WARN,
            detail=f"The assistant should answer {', '.join(absent)}, which has no id at Vapi.",
            advice="Import the number at Vapi and enter its id in the admin.",
        )
    if lost:
        return replace(
            found,
            verdict=Verdict.WARN,
            detail=f"Nobody is rung on {', '.join(lost)} when we do not answer Vapi.",
            advice="Enter the clinic's own line for the number in the admin, then sync.",
        )
    return found
