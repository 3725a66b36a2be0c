"""Plays incoming calls: asks the product for TwiML, does what it says, and reports back as Twilio does.

Source: https://www.twilio.com/docs/voice/twiml and https://www.twilio.com/docs/voice/twiml/dial
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import urljoin

from voxanne.sandbox.twilio.accounts import Accounts, Number
from voxanne.sandbox.twilio.call_script import ANSWERED, CallScript
from voxanne.sandbox.twilio.calls import ENDED, Call, Calls
from voxanne.sandbox.twilio.messages import API_VERSION
from voxanne.sandbox.twilio.receipts import TwilioWebhooks
from voxanne.sandbox.twilio.twiml import BadTwiml, Verb, parse_twiml
from voxanne.sandbox.webhooks import Delivery

MOST_DOCUMENTS = 20
DEFAULT_DIAL_SECONDS = 30.0


@dataclass
class Play:
    """One call under way."""

    call: Call
    number: Number
    script: CallScript
    dials: int = 0
    talked_seconds: int = 0
    next_document: tuple[str, str] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.call.status in ENDED


class CallPlayer:
    """Plays each call in a task of its own."""

    def __init__(self, accounts: Accounts, calls: Calls, webhooks: TwilioWebhooks) -> None:
        self._accounts = accounts
        self._calls = calls
        self._webhooks = webhooks
        self._plays: dict[str, Play] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, sender: str, to: str, script: CallScript) -> tuple[Play, asyncio.Task[None]]:
        """A call from ``sender`` rings our number ``to``. Raises LookupError when it is not configured."""
        number = self._accounts.number(to)
        if number is None or not number.voice_url:
            raise LookupError(f"{to} is not configured: POST /_control/numbers with its voice_url first.")
        call = Call(
            account_sid=number.account_sid,
            to=to,
            sender=sender,
            direction="inbound",
            status="ringing",
            phone_number_sid=number.sid,
            forwarded_from=script.forwarded_from or None,
        )
        play = Play(self._calls.add(call), number, script)
        self._plays[call.sid] = play
        task = asyncio.create_task(self._play(play))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return play, task

    def end(self, call: Call, status: str) -> None:
        """The call is ended through the REST API."""
        self._calls.note(call, "ended by the clinic")
        self._finish(
            call, "canceled" if status == "canceled" and call.status == "ringing" else "completed", 0
        )
        if call.sid in self._plays:
            self._plays[call.sid].changed.set()

    def redirect(self, call: Call, twiml: str, url: str) -> None:
        """The call gets new instructions through the REST API."""
        play = self._plays.get(call.sid)
        if play is not None:
            play.next_document = (twiml, url)
            play.changed.set()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._plays.clear()

    async def _play(self, play: Play) -> None:
        self._calls.note(play.call, "call in", f"{play.call.sender} rings {play.call.to}")
        try:
            twiml = await self._ask(play, play.number.voice_url, {})
            for _ in range(MOST_DOCUMENTS):
                if twiml is None or play.is_over:
                    break
                twiml = await self._perform(play, twiml)
            await self._close(play)
        finally:
            self._plays.pop(play.call.sid, None)

    async def _close(self, play: Play) -> None:
        self._finish(play.call, "completed", play.talked_seconds)
        self._calls.note(play.call, "call ended", play.call.status)
        if play.number.status_url and not play.script.lose_status:
            await self._post(play, play.number.status_url, _final_fields(play.call))

    async def _perform(self, play: Play, twiml: str) -> str | None:
        """Do one document; the next one if it asked for one, None when the call is over."""
        verbs = self._parsed(play, twiml)
        if verbs is None:
            self._finish(play.call, "failed", 0)
            return None
        for verb in verbs:
            if verb.name == "Say":
                self._answer(play)
                self._calls.note(play.call, "says", verb.text)
            elif verb.name == "Redirect":
                return await self._ask(play, verb.text, {})
            elif verb.name == "Reject":
                self._finish(play.call, "no-answer" if verb.attributes.get("reason") != "busy" else "busy", 0)
                return None
            elif verb.name == "Dial":
                return await self._dial(play, verb)
            elif verb.name == "Hangup":
                return None
        return None

    def _parsed(self, play: Play, twiml: str) -> list[Verb] | None:
        try:
            return parse_twiml(twiml)
        except BadTwiml as error:
            self._calls.note(play.call, "bad TwiML", str(error))
            return None

    async def _dial(self, play: Play, dial: Verb) -> str | None:
        """Ring the first noun; the reply to the dial's action is the rest of the call."""
        leg, noun = self._leg(play, dial)
        outcome = play.script.outcome(play.dials)
        play.dials += 1
        self._calls.note(play.call, "dialling", leg.to)
        await self._leg_status(play, leg, noun, "initiated", "queued")
        await self._leg_status(play, leg, noun, "ringing", "ringing")
        dial_status = await self._ring(play, dial, outcome)
        bridged = False
        if dial_status in ANSWERED:
            bridged = await self._talk(play, leg, noun, dial_status)
            dial_status = "completed"
        self._calls.move(leg, dial_status, play.talked_seconds if dial_status == "completed" else None)
        await self._leg_status(play, leg, noun, "completed", dial_status)
        self._calls.note(play.call, "dial result", dial_status)
        if play.next_document is not None:
            return await self._redirected(play)
        return await self._report_dial(play, dial, leg, dial_status, bridged=bridged)

    async def _ring(self, play: Play, dial: Verb, outcome: str) -> str:
        """Ring until the script's outcome, the dial's time limit, or the caller's patience is reached."""
        limit = float(dial.attributes.get("timeout", DEFAULT_DIAL_SECONDS))
        seconds = min(play.script.ring_seconds, limit)
        patience = play.script.hangs_up_after
        if patience is not None and patience < seconds:
            await self._pause(play, patience)
            self._finish(play.call, "canceled" if play.call.started_at is None else "completed", 0)
            return "canceled"
        await self._pause(play, seconds)
        if play.is_over or play.next_document is not None:
            return "canceled"
        return outcome

    async def _talk(self, play: Play, leg: Call, noun: Verb | None, outcome: str) -> bool:
        """The leg was picked up; returns whether the two were bridged."""
        leg.answered_by = "machine_start" if outcome == "voicemail" else "human"
        self._calls.move(leg, "in-progress")
        await self._leg_status(play, leg, noun, "answered", "in-progress")
        accepted = await self._whisper(play, leg, noun)
        bridged = accepted if play.script.bridged is None else play.script.bridged
        if bridged:
            self._answer(play)
            self._calls.note(play.call, "bridged" if outcome == "answered" else "voicemail picked up", leg.to)
            await self._pause(play, play.script.talk_seconds)
        duration = play.script.duration
        play.talked_seconds = round(play.script.talk_seconds) if duration is None else duration
        return bridged

    async def _whisper(self, play: Play, leg: Call, noun: Verb | None) -> bool:
        """Run the noun's ``url`` on the callee's leg; False when it ends in a hang-up."""
        if noun is None or not noun.attributes.get("url"):
            return True
        twiml = await self._ask(play, noun.attributes["url"], {}, leg)
        for _ in range(MOST_DOCUMENTS):
            if twiml is None:
                return False
            verbs = self._parsed(play, twiml)
            if verbs is None:
                return False
            gather = next((verb for verb in verbs if verb.name == "Gather"), None)
            if gather is None or not play.script.whisper_digits:
                return not any(verb.name == "Hangup" for verb in verbs)
            address = gather.attributes.get("action") or noun.attributes["url"]
            twiml = await self._ask(play, address, {"Digits": play.script.whisper_digits}, leg)
        return False

    async def _report_dial(
        self, play: Play, dial: Verb, leg: Call, status: str, *, bridged: bool
    ) -> str | None:
        action = dial.attributes.get("action")
        if not action or play.script.lose_dial_result:
            return None
        fields = {"DialCallStatus": status, "DialCallSid": leg.sid, "DialBridged": str(bridged).lower()}
        if status == "completed":
            fields["DialCallDuration"] = str(play.talked_seconds)
        twiml = None
        for _ in range(play.script.repeat_dial_result):
            twiml = await self._ask(play, action, fields)
        return None if play.is_over else twiml

    async def _redirected(self, play: Play) -> str | None:
        twiml, url = play.next_document or ("", "")
        play.next_document = None
        play.changed.clear()
        return twiml or await self._ask(play, url, {})

    async def _pause(self, play: Play, seconds: float) -> None:
        """Let time pass, less when the call is ended or redirected meanwhile."""
        try:
            await asyncio.wait_for(play.changed.wait(), seconds)
        except TimeoutError:
            return

    async def _ask(
        self, play: Play, address: str, more: dict[str, str], leg: Call | None = None
    ) -> str | None:
        """The TwiML at an address, None when there is none to be had: then the call fails."""
        delivery = await self._post(play, _absolute(address, play.number.voice_url), more, leg)
        if delivery.status is None or delivery.status >= 300:
            self._calls.note(play.call, "no answer from the clinic", str(delivery.status or delivery.failure))
            if leg is None:
                self._finish(play.call, "failed", 0)
            return None
        return delivery.body

    async def _post(
        self, play: Play, address: str, more: dict[str, str], leg: Call | None = None
    ) -> Delivery:
        fields = {**voice_fields(leg or play.call), **more}
        if play.script.caller_name:
            fields["CallerName"] = play.script.caller_name
        delivery = await self._webhooks.post(play.call.account_sid, address, fields)
        play.deliveries.append(delivery)
        return delivery

    async def _leg_status(self, play: Play, leg: Call, noun: Verb | None, event: str, status: str) -> None:
        if status not in ENDED:
            self._calls.move(leg, status)
        address = noun.attributes.get("statusCallback") if noun else None
        wanted = (noun.attributes.get("statusCallbackEvent", "completed") if noun else "").split()
        if address and event in wanted:
            more = _final_fields(leg) if event == "completed" else {"CallStatus": status}
            await self._post(play, _absolute(address, play.number.voice_url), more, leg)

    def _leg(self, play: Play, dial: Verb) -> tuple[Call, Verb | None]:
        nouns = dial.inside("Number", "Sip", "Client")
        noun = nouns[0] if nouns else None
        leg = Call(
            account_sid=play.call.account_sid,
            to=noun.text if noun else dial.text,
            sender=dial.attributes.get("callerId") or play.call.sender,
            direction="outbound-dial",
            status="queued",
            parent_call_sid=play.call.sid,
        )
        return self._calls.add(leg), noun

    def _answer(self, play: Play) -> None:
        if play.call.status == "ringing":
            self._calls.move(play.call, "in-progress")

    def _finish(self, call: Call, status: str, duration: int) -> None:
        answered = call.started_at is not None
        self._calls.move(call, status, duration if answered or status == "completed" else None)


def voice_fields(call: Call) -> dict[str, str]:
    """The standard form fields of a voice request."""
    fields = {
        "AccountSid": call.account_sid,
        "ApiVersion": API_VERSION,
        "CallSid": call.sid,
        "CallStatus": call.status,
        "Called": call.to,
        "Caller": call.sender,
        "Direction": call.direction,
        "From": call.sender,
        "To": call.to,
        "FromCountry": "US",
        "ToCountry": "US",
    }
    if call.parent_call_sid:
        fields["ParentCallSid"] = call.parent_call_sid
    if call.forwarded_from:
        fields["ForwardedFrom"] = call.forwarded_from
    return fields


def _final_fields(call: Call) -> dict[str, str]:
    return {
        "CallStatus": call.status,
        "CallDuration": str(call.duration or 0),
        "Timestamp": formatdate(usegmt=False),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "0" if call.parent_call_sid is None else "3",
    }


def _absolute(address: str, base: str) -> str:
    return urljoin(base, address)
