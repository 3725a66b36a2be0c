"""What came of a call, read from what its tools did: the visit, the tools used, and one word for it all."""

from __future__ import annotations

from uuid import UUID

from voxanne.statements import Statement

# The visit is the one that the call's own tool call made; nothing here writes to it.
CONCLUDE = Statement("""
WITH used AS (
    SELECT coalesce(array_agg(DISTINCT tool ORDER BY tool), '{}') AS tools,
           coalesce(bool_or(tool = 'transferCall' AND outcome = 'ok'), false) AS transferred
    FROM tool_invocations WHERE org_id = %(org)s AND call_id = %(call)s
), visit AS (
    SELECT a.id FROM appointments a WHERE a.org_id = %(org)s AND a.call_id = %(call)s
    ORDER BY a.created_at DESC LIMIT 1
)
UPDATE calls SET
    tools_used = used.tools,
    appointment_id = coalesce((SELECT id FROM visit), calls.appointment_id),
    outcome = CASE
        WHEN coalesce((SELECT id FROM visit), calls.appointment_id) IS NOT NULL THEN 'booked'
        WHEN used.transferred OR calls.ended_group IN ('transferred', 'transfer_failed') THEN 'transferred'
        WHEN cardinality(array_remove(used.tools, 'endCall')) > 0 THEN 'asked'
        WHEN calls.ended_group IN ('never_worked', 'vapi_fault', 'provider_fault') THEN 'failed'
        WHEN calls.transcript LIKE '%%User:%%' OR calls.summary <> '' THEN 'talked'
        ELSE 'nothing' END
FROM used
WHERE calls.org_id = %(org)s AND calls.id = %(call)s AND calls.status = 'ended'
""")


def conclude(org_id: UUID, call_id: UUID) -> None:
    """Writes what came of a call that has ended. Inside the clinic's scope; repeating it is harmless."""
    CONCLUDE.run({"org": org_id, "call": call_id})
