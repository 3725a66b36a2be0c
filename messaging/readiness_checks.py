"""Whether texts get away, for the readiness report."""

from __future__ import annotations

from messaging.queue_health import concerns, dead_letters_now, get_sms_delivery_stats, queue_now, status_of
from monitoring.findings import Finding, Verdict
from monitoring.readiness import register_check

VERDICTS = {"healthy": Verdict.PASS, "degraded": Verdict.WARN, "unhealthy": Verdict.FAIL}


def text_queue() -> list[Finding]:
    """The same judgement as ``/api/monitoring/sms-queue-health``."""
    queue, stats, dead = queue_now(), get_sms_delivery_stats(None), dead_letters_now()
    status = status_of(queue, stats)
    told = " ".join(concern.message for concern in concerns(queue, stats, dead))
    detail = f"{status.capitalize()}: {queue.waiting} waiting, {dead.open} dead letters. {told}".strip()
    verdict = VERDICTS[status]
    if verdict is Verdict.PASS and told:
        verdict = Verdict.WARN
    return [Finding("text queue", verdict, detail, "See Messages in the admin, and its dead letters.")]


def register() -> None:
    register_check("text queue", text_queue)
