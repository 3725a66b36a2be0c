"""transferCall: puts the caller through to a person, within that department's hours."""

from __future__ import annotations

from telephony.call_commands.commands import queue_transfer
from telephony.call_commands.transfers import AfterHours, NoDestination, destination_for
from telephony.call_records.calls import remember_control_url
from telephony.models import Call, TransferDestination
from telephony.tools.answering import Asking, ToolAnswer, answered, refused
from telephony.tools.asked import Asked

CONNECTING = "I am putting you through now. One moment, please."


def transfer_call(asking: Asking, asked: Asked) -> ToolAnswer:
    summary = asked.required_text("summary", "What may I tell them it is about?", longest=500)
    department = asked.choice(
        "department", TransferDestination.Department, TransferDestination.Department.GENERAL
    )
    wanted = department or TransferDestination.Department.GENERAL
    Call.objects.filter(pk=asking.call_id).update(transfer_department=wanted, transfer_summary=summary)
    try:
        number = destination_for(asking.plan, wanted, asking.now)
    except AfterHours:
        return refused("after_hours", "They are not answering at this hour. May I take a message?")
    except NoDestination:
        return refused("no_destination", "I cannot put you through there. May I take a message?")
    remember_control_url(asking.call_id, asking.facts)
    queue_transfer(asking.plan.key.org_id, asking.call_id, number, CONNECTING)
    return answered(CONNECTING, transferring=True)
