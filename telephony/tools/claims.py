"""The claim of one tool call: a row whose unique key lets one of several copies through.

A copy that comes at the same instant waits on that key until the first one has committed, then finds its
answer. A fault rolls the claim back with everything else, so Vapi's next try starts afresh.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from telephony.models import ToolInvocation
from telephony.vapi.payload import CallFacts, ToolCall
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

# One round trip for both rows, for a caller waits. The call's row is made by whichever message comes first.
CLAIM = Statement("""
WITH fresh AS (
    INSERT INTO calls (id, org_id, vapi_call_id, twilio_call_sid, from_number, to_number, status, ended_reason, summary,
                       transcript, transfer_department, transfer_summary, control_url, created_at, updated_at)
    VALUES (%(call)s, %(org)s, %(vapi_call_id)s, %(twilio_call_sid)s, %(caller)s, %(dialled)s, 'ringing', '', '',
            '', '', '', '', now(), now())
    ON CONFLICT ON CONSTRAINT idx_call_logs_org_vapi_call_id DO NOTHING
    RETURNING id, from_number, status
), known AS (
    SELECT id, from_number, status FROM fresh
    UNION ALL
    SELECT id, from_number, status FROM calls WHERE org_id = %(org)s AND vapi_call_id = %(vapi_call_id)s
), claim AS (
    INSERT INTO tool_invocations (id, org_id, call_id, tool_call_id, tool, outcome, created_at)
    SELECT %(claim)s, %(org)s, known.id, %(tool_call_id)s, %(tool)s, '', now() FROM known
    ON CONFLICT ON CONSTRAINT one_answer_a_tool_call DO NOTHING
    RETURNING id
)
SELECT known.id, known.from_number, (SELECT id FROM claim), known.status = 'ended' FROM known
""")
STORE_ANSWER = Statement("UPDATE tool_invocations SET answer = %s::jsonb, outcome = %s WHERE id = %s")
# A call row that another transaction committed after our statement began is seen by the next statement.
MOST_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """The call's row, the number that calls, and our claim; ``id`` is None when a copy was first. ``call_ended``
    where the call's end came before this tool call did."""

    call_id: UUID
    caller: str
    id: UUID | None
    call_ended: bool


def claim(org_id: UUID, facts: CallFacts, tool_call: ToolCall) -> Claim:
    """Claims this tool call of this call, making the call's row when it is new. Inside the clinic's scope."""
    values: dict[str, Any] = {
        "call": new_id(),
        "claim": new_id(),
        "org": org_id,
        "vapi_call_id": facts.vapi_call_id,
        "twilio_call_sid": facts.twilio_call_sid,
        "caller": facts.caller,
        "dialled": facts.dialled[:20],
        "tool_call_id": tool_call.claim_key,
        "tool": tool_call.name,
    }
    for _ in range(MOST_LOOKS):
        row = CLAIM.row(values)
        if row is not None:
            return Claim(*row)
    raise LookupError("The call's row is neither ours to make nor there to read.")


def store_answer(claim_id: UUID, answer: dict[str, Any], outcome: str) -> None:
    """Keeps the answer with its claim, for every copy that is still to come."""
    STORE_ANSWER.run([json.dumps(answer), outcome, claim_id])


def answer_given(org_id: UUID, call_id: UUID, tool_call: ToolCall) -> dict[str, Any] | None:
    """The stored answer of the copy that was first; None when it was for another tool."""
    row = ToolInvocation.objects.get(org_id=org_id, call_id=call_id, tool_call_id=tool_call.claim_key)
    return row.answer if row.tool == tool_call.name else None
