"""Twilio's error codes: whose fault each is, and what it means to the people at the clinic.

Source: Twilio's error and warning dictionary. Codes below 30000 come in the answer to a request; 30xxx and
63xxx come later, in delivery receipts. New codes appear and texts change, so only numbers are read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

SMALLEST_CODE = 10_000
"""Twilio's codes have five digits; a smaller number is an HTTP status that the client put in their place."""


class Fault(StrEnum):
    """What stands in the way, and so what may help."""

    RECIPIENT = "recipient"  # this number will never take texts: stop using it for them
    OPT_OUT = "opt_out"  # the person wants none: never again until they ask
    CONTENT = "content"  # this message is wrong: it will be refused as often as it is sent
    ACCOUNT = "account"  # account, sender or registration: everything of this clinic waits for a person
    TRANSIENT = "transient"  # gone by itself: try again
    LIMIT = "limit"  # too fast or too much: try again later and slower
    AMBIGUOUS = "ambiguous"  # nobody knows whether it was sent


class Known(NamedTuple):
    fault: Fault
    reason: str


_ROWS: list[tuple[Fault, tuple[int, ...], str]] = [
    # Answers to a request.
    (Fault.CONTENT, (20001, 20002), "A field of the request was wrong; report this to Voxanne's support."),
    (
        Fault.ACCOUNT,
        (20003,),
        "Twilio did not accept the account's credentials; check them and whether the account is suspended.",
    ),
    (Fault.ACCOUNT, (20403,), "The Twilio account may not do this; check its permissions."),
    (Fault.CONTENT, (20404,), "Twilio does not know the account or message; check the account's SID."),
    (Fault.AMBIGUOUS, (20409,), "Twilio reported a conflict; check at Twilio whether the text went out."),
    (Fault.LIMIT, (20429,), "Twilio got too many requests at once; the text is tried again by itself."),
    (
        Fault.TRANSIENT,
        (20500, 20503),
        "Twilio had a fault and did not take the text; it is tried again by itself.",
    ),
    (
        Fault.RECIPIENT,
        (21211,),
        "The patient's number is not a valid one; correct it with the contact, and tell them in another way.",
    ),
    (
        Fault.ACCOUNT,
        (21212, 21603, 21606, 21607, 21657, 21660, 21708, 21709),
        "The number this clinic sends from is missing, not its own or cannot send texts; correct the sender.",
    ),
    (Fault.RECIPIENT, (21214, 21217), "The patient's number cannot be reached; check it with the patient."),
    (
        Fault.ACCOUNT,
        (21215, 21408),
        "Texts to that country are switched off at Twilio; allow it there or use another number.",
    ),
    (Fault.RECIPIENT, (21216,), "Twilio blocks texts to that number; reach the patient another way."),
    (
        Fault.ACCOUNT,
        (21219, 21608),
        "A trial account may only text numbers it has verified; upgrade the Twilio account.",
    ),
    (
        Fault.CONTENT,
        (21602, 21604, 21619),
        "The text, its recipient or its content was missing; write it again.",
    ),
    (
        Fault.CONTENT,
        (21609,),
        "Twilio did not accept our address for delivery receipts; check the public address.",
    ),
    (
        Fault.OPT_OUT,
        (21610,),
        "The patient has opted out of texts from this number; only they can opt in again, by texting START.",
    ),
    (
        Fault.LIMIT,
        (21611,),
        "The clinic's number has too many texts waiting; the text is tried again by itself.",
    ),
    (
        Fault.RECIPIENT,
        (21612,),
        "The clinic's number cannot reach the patient's; if that is so for every patient, check the sender.",
    ),
    (
        Fault.RECIPIENT,
        (21614, 21635),
        "The patient's number is a landline or not a mobile; ask for a mobile number.",
    ),
    (Fault.CONTENT, (21617,), "The text is longer than 1,600 characters; shorten it."),
    (Fault.CONTENT, (21620, 63019), "The picture or file could not be fetched; check its address."),
    (
        Fault.CONTENT,
        (21654, 21655, 21656, 21658),
        "The template or what was filled into it is wrong; correct the template.",
    ),
    (
        Fault.ACCOUNT,
        (21701, 21705),
        "The messaging service is unknown at Twilio; check the clinic's sender settings.",
    ),
    (
        Fault.ACCOUNT,
        (21703, 21704),
        "The messaging service has no number that can send this; add one at Twilio.",
    ),
    # Delivery receipts for texts.
    (Fault.LIMIT, (30001,), "Too many texts were waiting at Twilio; send again later."),
    (Fault.ACCOUNT, (30002,), "The Twilio account was suspended; settle that with Twilio, then send again."),
    (
        Fault.TRANSIENT,
        (30003,),
        "The patient's phone was off or out of reach; try again later or call them.",
    ),
    (
        Fault.OPT_OUT,
        (30004,),
        "The patient or their carrier blocks texts from this number; reach them another way.",
    ),
    (Fault.RECIPIENT, (30005,), "The patient's number is unknown or no longer in use; ask for the new one."),
    (
        Fault.RECIPIENT,
        (30006,),
        "The patient's number is a landline or its carrier takes no texts; ask for a mobile number.",
    ),
    (
        Fault.CONTENT,
        (30007,),
        "The carrier filtered the text as unwanted; reword it and check the sender's registration.",
    ),
    (
        Fault.TRANSIENT,
        (30008,),
        "The carrier did not deliver the text and gave no reason; send it once more or call.",
    ),
    (Fault.CONTENT, (30010,), "The text cost more than the limit set for it; raise the limit or shorten it."),
    (Fault.TRANSIENT, (30017,), "The carrier's network was congested; send again later."),
    (
        Fault.ACCOUNT,
        (30018, 30024),
        "The clinic's sender is not registered in that country; register it at Twilio.",
    ),
    (Fault.CONTENT, (30019,), "The content was too large for the carrier; shorten it."),
    (Fault.TRANSIENT, (30020, 30021), "Twilio had a fault while sending; send again."),
    (
        Fault.LIMIT,
        (30022,),
        "The clinic's number sent faster than its registration allows; send again later.",
    ),
    (
        Fault.LIMIT,
        (30023, 30027),
        "The carrier's daily limit is used up until midnight US Pacific time; send again after that.",
    ),
    (
        Fault.ACCOUNT,
        (30032,),
        "The clinic's toll-free number is not verified; finish its verification at Twilio.",
    ),
    (
        Fault.ACCOUNT,
        (30033,),
        "The clinic's sending registration (10DLC campaign) is suspended; settle that with Twilio.",
    ),
    (
        Fault.ACCOUNT,
        (30034,),
        "The clinic's number is not registered for texts in the US (10DLC); register it at Twilio.",
    ),
    (
        Fault.ACCOUNT,
        (30035,),
        "The clinic's number is still being set up by the carriers; wait a day, then send again.",
    ),
    (
        Fault.LIMIT,
        (30036,),
        "The text waited longer than it was good for; send again if it still helps.",
    ),
    (
        Fault.AMBIGUOUS,
        (30410,),
        "The carrier answered late and may have delivered the text; ask the patient before sending again.",
    ),
    (
        Fault.ACCOUNT,
        (30450,),
        "Twilio blocked the text as suspected fraud (SMS pumping); settle that with Twilio.",
    ),
    (
        Fault.LIMIT,
        (30610,),
        "It was quiet hours where the patient lives; send again in the daytime.",
    ),
    (
        Fault.RECIPIENT,
        (30640,),
        "The Twilio account's compliance list forbids texts to this number; reach the patient another way.",
    ),
    # Delivery receipts for WhatsApp and other channels.
    (
        Fault.ACCOUNT,
        (63001, 63002, 63007, 63008, 63020, 63022, 63051),
        "The clinic's account at the message channel has a problem; check it at Twilio and at the channel.",
    ),
    (
        Fault.RECIPIENT,
        (63003, 63024),
        "The patient is not found on this message channel; send a text message instead.",
    ),
    (
        Fault.CONTENT,
        (63005, 63006, 63013, 63021, 63026, 63027, 63028, 63029, 63030, 63040, 63041, 63042),
        "The message channel refused the content or its template; correct it before sending again.",
    ),
    (
        Fault.TRANSIENT,
        (63009, 63010, 63012),
        "The message channel had a fault of its own; send again later.",
    ),
    (
        Fault.OPT_OUT,
        (63014, 63033),
        "The patient has blocked this clinic on the message channel; reach them another way.",
    ),
    (
        Fault.ACCOUNT,
        (63015,),
        "The channel is in test mode and the patient has not joined it; switch it to live.",
    ),
    (
        Fault.CONTENT,
        (63016,),
        "The patient wrote more than 24 hours ago, so only a template may be sent; use a template.",
    ),
    (
        Fault.LIMIT,
        (63017, 63018),
        "The message channel's rate limit was reached; send again later.",
    ),
    (
        Fault.RECIPIENT,
        (63032,),
        "The message channel does not deliver to this patient at present; send a text message instead.",
    ),
    (
        Fault.LIMIT,
        (63038,),
        "The account's daily limit of messages is used up; send again tomorrow or raise the limit at Twilio.",
    ),
]

CODES: dict[int, Known] = {code: Known(fault, reason) for fault, codes, reason in _ROWS for code in codes}


def fault_of_code(code: int) -> Fault:
    """Return whose fault `code` is; `AMBIGUOUS` for one that is not known yet, so that nothing is resent."""
    known = CODES.get(code)
    return known.fault if known else Fault.AMBIGUOUS


def spoken_reason(code: int | None) -> str:
    """Return one plain sentence for staff: what happened, and what to do. It names no patient."""
    if not code or code < SMALLEST_CODE:
        return "Twilio gave no reason. A text of unknown fate is looked up, and sent again only if it is not there."
    known = CODES.get(code)
    if known:
        return known.reason
    return f"Twilio gave error {code}; look it up at twilio.com/docs/api/errors/{code} before sending again."
