"""Whether texts get away, for the readiness report."""

from __future__ import annotations

from django.conf import settings

from messaging.phone_numbers import mask
from messaging.queue_health import concerns, dead_letters_now, get_sms_delivery_stats, queue_now, status_of
from messaging.sending.standing import paused_senders
from messaging.words.template_checks import faults_of_defaults, faults_of_stored
from monitoring.findings import Finding, Verdict
from monitoring.readiness import failed, passed, register_check, warned

VERDICTS = {"healthy": Verdict.PASS, "degraded": Verdict.WARN, "unhealthy": Verdict.FAIL}


def text_queue() -> list[Finding]:
    """The same judgement as ``/api/monitoring/sms-queue-health``."""
    queue, stats, dead = queue_now(), get_sms_delivery_stats(None), dead_letters_now()
    status = status_of(queue, stats)
    told = " ".join(concern.message for concern in concerns(queue, stats, dead))
    counts = f"{queue.waiting} waiting, {queue.delayed} delayed, {queue.unknown} of unknown fate"
    detail = f"{status.capitalize()}: {counts}, {dead.open} dead letters. {told}".strip()
    verdict = VERDICTS[status]
    if verdict is Verdict.PASS and told:
        verdict = Verdict.WARN
    return [Finding("text queue", verdict, detail, "See Messages in the admin, and its dead letters.")]


def senders() -> list[Finding]:
    """The clinics whose texts are held back until a person lets them go."""
    paused = paused_senders()
    if not paused.number:
        return passed("senders", "None is paused.")
    advice = "Mend what stopped them, then resume sending on the clinic's page under Senders in the admin."
    return warned("senders", f"Paused: {paused.told}.", advice)


def rehearsal() -> list[Finding]:
    """In production a rehearsal would keep every text from the person it is for."""
    phone = settings.SMS_REDIRECT_TO
    if not phone:
        return passed("texts' recipients", "Texts go to the people they are for.")
    report = failed if settings.PRODUCTION else warned
    detail = f"Every text goes to one phone ({mask(phone)}), to nobody else."
    return report("texts' recipients", detail, "Unset SMS_REDIRECT_TO before patients are to be texted.")


def templates() -> list[Finding]:
    """Every clinic's own words, and ours: what cannot be sent, or would make people opt out by mistake."""
    faults = [*faults_of_defaults(), *faults_of_stored()]
    if not faults:
        return passed("message wording", "Every template can be sent, and none asks for a stop word.")
    advice = "Mend it under Message wording; until then our own words are sent in its place."
    return warned("message wording", " ".join(faults), advice)


def register() -> None:
    register_check("text queue", text_queue)
    register_check("senders", senders)
    register_check("texts' recipients", rehearsal)
    register_check("message wording", templates)
