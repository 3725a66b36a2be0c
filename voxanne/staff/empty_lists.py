"""What an empty list says: what will stand there, and what to do about it. By kind of row (app_model)."""

from __future__ import annotations

from typing import Any

IN_GENERAL = "What is entered or happens will stand here."
WORDS = {
    "bookings_appointment": "Visits stand here once the agent, or you, book one. Use “Add appointment” to enter one.",
    "messaging_stafftask": "Nothing is to do. Missed calls, callers' messages and patients' replies will stand here.",
    "telephony_call": "Calls that the agent takes will stand here. None came yet: ring the clinic's number to try it.",
    "telephony_activecall": "Calls to the clinic's numbers will stand here, with who was missed and texted back.",
    "messaging_message": "Texts to patients will stand here: confirmations, changes, and replies to missed calls.",
    "messaging_deadletter": "Every text arrived, or is still on its way. One that is given up will stand here, with the"
    " reason and what to do.",
    "messaging_bulkact": "When many undelivered texts are sent again or discarded at once, its progress stands here.",
    "messaging_inboundmessage": "Texts that patients send to the clinic's number will stand here.",
    "messaging_contact": "Everybody who calls, books or texts will stand here. You can also add somebody yourself.",
    "messaging_optout": "Nobody asked not to be texted. Whoever replies STOP will stand here.",
    "bookings_provider": "Add the people whom patients visit, with their hours: the agent books nothing without them.",
    "bookings_service": "Add what patients come for and how long it takes: the agent books nothing without it.",
    "bookings_closure": "Add holidays and days off here, and nothing is booked on them.",
    "messaging_messagetemplate": "Texts go out in our words. Add wording of your own to change one.",
    "messaging_messagingpolicy": "No quiet hours, and no limit to how many texts go out, until somebody adds rules.",
    "messaging_replysettings": "Nobody is answered by itself while the clinic is closed, and nobody is shown what a"
    " text costs, until somebody adds settings.",
    "telephony_callsettings": "Calls are handled in the ordinary way. Add settings to change that.",
    "telephony_transferdestination": "Add the numbers that callers are put through to, or the agent takes messages.",
    "telephony_phonenumber": "Add the number that patients dial, or no call reaches the agent.",
    "messaging_senderaccount": "Add the number that texts are sent from, or no patient is texted.",
    "telephony_assistant": "Add the assistant that takes calls; its id is in Vapi's dashboard.",
    "bookings_calendarconnection": "Connect a provider's calendar on the provider's page, and visits appear in it.",
    "telephony_recording": "Recordings will stand here, if the clinic keeps any (see Call settings).",
    "telephony_firedrill": "No number was drilled yet: select some under Phone numbers, and run “Fire drill”.",
    "telephony_webhookdelivery": "What Vapi and Twilio tell us will stand here.",
    "tenancy_auditentry": "What people do here, and why, will stand here.",
}

# Where no row does not mean that nothing applies.
IN_ITS_PLACE = "Nothing of your own: this applies"
DEFAULTS = (
    "messaging_messagingpolicy",
    "messaging_replysettings",
    "messaging_messagetemplate",
    "telephony_callsettings",
)


def title_for(options: Any) -> str:
    """What stands above the sentence."""
    own = f"{options.app_label}_{options.model_name}" not in DEFAULTS
    return "Nothing here yet" if own else IN_ITS_PLACE


def words_for(options: Any) -> str:
    """The sentence for a model's list; ``options`` is the model's ``_meta``."""
    return WORDS.get(f"{options.app_label}_{options.model_name}", IN_GENERAL)
