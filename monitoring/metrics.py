"""What is measured, by the names that dashboards know (contract, section 10), and one small function each.

Each call costs a few microseconds and never waits. Labels are few and known: an outcome, a tool, a provider,
never an id, a number or a name.
"""

from __future__ import annotations

from monitoring.metric_store import Metric, MetricStore

store = MetricStore()

FAST = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.5, 5.0, 10.0)
TO_PHONE = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 300.0)
WAITS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)

BOOKING = Metric("booking_seconds", "From the request to book to its answer.", ("outcome",), FAST)
TOOL_CALL = Metric("tool_call_seconds", "One tool call of the voice agent.", ("tool", "outcome"), FAST)
WEBHOOK_ACK = Metric("webhook_ack_seconds", "From a webhook's arrival to its answer.", ("provider",), FAST)
WEBHOOK_WORK = Metric("webhook_work_seconds", "Working off a stored webhook.", ("provider", "type"), FAST)
COMMIT_TO_REQUEST = Metric(
    "message_commit_to_request_seconds", "From a message's commit to its request at the provider.", (), WAITS
)
MISSED_CALL_TEXT = Metric(
    "missed_call_text_seconds", "From the end of a missed dial to its text's request.", ("path",), TO_PHONE
)
HTTP_REQUEST = Metric("http_request_seconds", "One request, as the server saw it.", ("route", "status"), FAST)
MESSAGE_ATTEMPTS = Metric("message_attempts_total", "Tries at sending a message.", ("outcome",))
MISSED_CALLS = Metric("missed_calls_total", "Calls found missed, by the path that found them.", ("path",))
DUPLICATES = Metric("duplicates_prevented_total", "Second effects that did not happen.", ("what",))

COUNTED = (
    BOOKING, TOOL_CALL, WEBHOOK_ACK, WEBHOOK_WORK, COMMIT_TO_REQUEST, MISSED_CALL_TEXT, HTTP_REQUEST,
    MESSAGE_ATTEMPTS, MISSED_CALLS, DUPLICATES,
)  # fmt: skip

# Read from the database when somebody asks; see gauges.py.
WEBHOOKS = Metric("webhooks", "Webhooks by state.", ("state",))
MESSAGES = Metric("messages", "Messages by state; settled ones of the last 24 hours.", ("state",))
MESSAGES_WITHOUT_RECEIPT = Metric(
    "messages_without_receipt",
    "Texts of three to four days ago of which nobody ever said whether they arrived.",
)
OLDEST_WAITING = Metric(
    "oldest_waiting_seconds", "How long the oldest due piece of work has waited.", ("work",)
)
BREAKER_STATE = Metric(
    "breaker_state", "0 closed, 1 half-open, 2 open: the worst of a service.", ("service",)
)
HEARTBEAT_AGE = Metric("heartbeat_age_seconds", "Since a periodic job last ran through.", ("job",))
CALENDAR_LAG = Metric("calendar_lag_seconds", "How long the oldest calendar change has waited.")
CALLS_REPORTED = Metric(
    "calls_reported_share", "Of the calls ended in 24 hours: the share whose report came by itself."
)

GAUGES = (
    WEBHOOKS, MESSAGES, MESSAGES_WITHOUT_RECEIPT, OLDEST_WAITING, BREAKER_STATE, HEARTBEAT_AGE, CALENDAR_LAG,
    CALLS_REPORTED,
)  # fmt: skip


def observe_booking(outcome: str, seconds: float) -> None:
    """``outcome``: booked, already_booked, or the refusal's code."""
    store.observe(BOOKING, (outcome,), seconds)


def observe_tool_call(tool: str, outcome: str, seconds: float) -> None:
    """``outcome``: ok, the refusal's code, or error."""
    store.observe(TOOL_CALL, (tool, outcome), seconds)


def observe_webhook_ack(provider: str, seconds: float) -> None:
    store.observe(WEBHOOK_ACK, (provider,), seconds)


def observe_webhook_work(provider: str, kind: str, seconds: float) -> None:
    store.observe(WEBHOOK_WORK, (provider, kind), seconds)


def observe_commit_to_request(seconds: float) -> None:
    store.observe(COMMIT_TO_REQUEST, (), seconds)


def observe_missed_call_text(path: str, seconds: float) -> None:
    """``path``: fast or fallback."""
    store.observe(MISSED_CALL_TEXT, (path,), seconds)


def observe_http_request(route: str, status: int, seconds: float) -> None:
    store.observe(HTTP_REQUEST, (route, str(status)), seconds)


def count_attempt(outcome: str) -> None:
    """One try at sending a message: accepted, lost, refused_for_now and so on."""
    store.count(MESSAGE_ATTEMPTS, (outcome,))


def count_missed_call(path: str) -> None:
    store.count(MISSED_CALLS, (path,))


def count_duplicate(what: str) -> None:
    """A repetition that had no second effect: tool_call, booking, webhook, message and so on."""
    store.count(DUPLICATES, (what,))
