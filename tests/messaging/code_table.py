"""Every error code of Twilio's that we know, and what becomes of a text because of it: ``docs/twilio-codes.md``.

``python -m tests.messaging.code_table`` writes the document anew; a test compares it with the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from messaging.fates.resending import HOUR, MINUTE, OF_CODE, UNTIL_MIDNIGHT
from messaging.providers.answers import TryOutcome
from messaging.providers.twilio.codes import CODES
from messaging.providers.twilio.outcomes import Fault, outcome_of_create, outcome_of_receipt
from messaging.sending.pauses import CODES_OF_ACCOUNT
from messaging.sending.waits import RETRY_WAITS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "twilio-codes.md"
# Codes from here on come in receipts; those before answer the request itself, and so may a few others.
FIRST_OF_RECEIPTS = 30_000
# The statuses with which answers come that are not 400.
STATUSES = {
    20003: 401, 20403: 403, 20404: 404, 20409: 409, 20429: 429, 20500: 500, 20503: 503, 21611: 429, 21701: 404,
}  # fmt: skip
HEAD = """# Twilio's error codes

What each code leads to, written by `python -m tests.messaging.write_code_table` from the code itself; a test holds the
two together.

An *answer* comes to the request to send; a *receipt* later, for a text that Twilio took. Whose fault it is decides:
what passes by itself is tried again, what does not goes to a person at once. What nobody knows is looked up, and never
resent. A fault of the whole account also pauses the clinic's sender and alerts once. A code that is not in this table:
as an answer, given up at once for a person to look at; in a receipt, given up too, for the text may have arrived.

| code | comes as | fault | what becomes of the text | pauses the sender | what staff read |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Row:
    code: int
    comes_as: str
    fault: Fault
    becomes: str
    pauses: bool
    said: str


def rows() -> list[Row]:
    return [_row(code) for code in sorted(CODES)]


def document() -> str:
    lines = (
        f"| {row.code} | {row.comes_as} | {row.fault.value.replace('_', ' ')} | {row.becomes} |"
        f" {'yes' if row.pauses else ''} | {row.said} |\n"
        for row in rows()
    )
    return HEAD + "".join(lines)


def _row(code: int) -> Row:
    known = CODES[code]
    is_answer = code < FIRST_OF_RECEIPTS
    status = STATUSES.get(code, 400)
    outcome = (
        outcome_of_create(status, code, True) if is_answer else outcome_of_receipt("failed", code)
    ).outcome
    comes_as = f"answer, HTTP {status}" if is_answer else "receipt"
    becomes = _after_answer(outcome) if is_answer else _after_receipt(code, outcome)
    return Row(code, comes_as, known.fault, becomes, code in CODES_OF_ACCOUNT, known.reason)


def _after_answer(outcome: TryOutcome) -> str:
    match outcome:
        case TryOutcome.REFUSED_FOR_NOW:
            return f"tried again after {_spoken(RETRY_WAITS)}"
        case TryOutcome.LOST:
            return "unknown: looked up, never resent blindly"
        case TryOutcome.OPTED_OUT:
            return "suppressed, and noted as an opt-out"
    return "dead letter"


def _after_receipt(code: int, outcome: TryOutcome) -> str:
    if outcome is TryOutcome.OPTED_OUT:
        return "suppressed, and noted as an opt-out"
    if outcome is not TryOutcome.REFUSED_FOR_NOW:
        return "dead letter"
    if code in UNTIL_MIDNIGHT:
        return "sent again after midnight US Pacific time, twice at most"
    return f"sent again after {_spoken(OF_CODE.get(code, RETRY_WAITS))}"


def _spoken(waits: tuple[int, ...]) -> str:
    unit, name = next(
        (unit, name)
        for unit, name in ((HOUR, "h"), (MINUTE, "min"), (1, "s"))
        if all(w % unit == 0 for w in waits)
    )
    *first, last = (str(wait // unit) for wait in waits)
    return f"{', '.join(first)} and {last} {name}" if first else f"{last} {name}"
