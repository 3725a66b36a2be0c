"""The promise of the sockets: each clinic hears its own calls, and a dropped connection goes on without a gap."""

from __future__ import annotations

import random
import threading
import time

import pytest
from django.db import connection, transaction

from telephony.live import stream
from telephony.live.feed import Announcement, announce, offer
from tests.clinics import Clinic
from tests.live.running import Json, RunningSockets, events, token_of
from tests.telephony.vapi_client import CALLER, VapiCaller
from tests.telephony.webhooks import news
from voxanne.tenancy.ids import new_id

CALLS_OF_EACH = 10


def play(clinic: Clinic, calls: int) -> None:
    """Whole calls, one message of each in turn, as a busy morning brings them."""
    try:
        playing = [VapiCaller(clinic) for _ in range(calls)]
        for call in playing:
            call.say("assistant-request")
        for call in playing:
            news(call, "status-update", status="in-progress")
            call.use("lookupCaller", searchType="phone", searchKey=CALLER)
        for call in playing:
            news(call, "end-of-call-report", endedReason="customer-ended-call")
    finally:
        connection.close()


def tell(clinic: Clinic, count: int) -> None:
    for number in range(count):
        offer(Announcement(clinic.id, "tool", {"callId": str(new_id()), "number": number}))


def test_two_clinics_hear_twenty_calls_each_its_own_and_drops_leave_no_gap(
    sockets: RunningSockets, elm: Clinic, oak: Clinic
) -> None:
    players = [threading.Thread(target=play, args=(clinic, CALLS_OF_EACH)) for clinic in (elm, oak)]
    steady = {clinic.id: sockets.watch(clinic.staff["receptionist"]) for clinic in (elm, oak)}
    first = {org_id: watching.first("snapshot")["seq"] for org_id, watching in steady.items()}
    dropping = {clinic.id: Dropping(sockets, clinic) for clinic in (elm, oak)}
    for thread in (*players, *dropping.values()):
        thread.start()
    for player in players:
        player.join()
    # A call is announced as it begins, goes on, uses a tool and ends.
    wanted = {
        org_id: list(range(start + 1, start + 1 + 4 * CALLS_OF_EACH)) for org_id, start in first.items()
    }
    for org_id, watching in steady.items():
        watching.up_to(wanted[org_id][-1])
        told = events(watching.heard)
        assert [message["seq"] for message in told] == wanted[org_id]
        assert {message["orgId"] for message in told} == {str(org_id)}
        assert len({message["data"]["callId"] for message in told}) == CALLS_OF_EACH
        dropping[org_id].finish(wanted[org_id][-1])
        assert dropping[org_id].drops >= 3
        assert [message["seq"] for message in dropping[org_id].told] == wanted[org_id]
        assert {message["orgId"] for message in dropping[org_id].told} == {str(org_id)}
    ours, theirs = ({str(message["data"]["callId"]) for message in events(w.heard)} for w in steady.values())
    assert not ours & theirs


class Dropping(threading.Thread):
    """A client whose network goes away again and again; it resumes after the last event it heard."""

    def __init__(self, sockets: RunningSockets, clinic: Clinic) -> None:
        super().__init__(daemon=True)
        self.told: list[Json] = []
        self.drops = 0
        self._sockets, self._clinic = sockets, clinic
        self._chance = random.Random(7)
        self._watching = sockets.watch(token=token_of(clinic))
        self._last = self._watching.first("snapshot")["seq"]
        self._goal: int | None = None

    def run(self) -> None:
        while self._goal is None or self._last < self._goal:
            for _ in range(self._chance.randrange(1, 8)):
                self._hear()
            self._watching.drop()
            self.drops += 1
            time.sleep(self._chance.random() * 0.1)
            self._watching = self._sockets.watch(token=token_of(self._clinic))
            self._watching.say("resume", seq=self._last)

    def _hear(self) -> None:
        try:
            message = self._watching.next(0.2)
        except TimeoutError:
            return
        assert message["type"] != "snapshot", "it was not resumed"
        if message["type"] != "ping":
            self.told.append(message)
            self._last = message["seq"]

    def finish(self, goal: int) -> None:
        self._goal = goal
        self.join(15)
        assert not self.is_alive()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_drops_come_every_event_is_heard_once_and_in_order(
    sockets: RunningSockets, elm: Clinic, seed: int
) -> None:
    chance = random.Random(seed)
    watching = sockets.watch(token=token_of(elm))
    last = first = watching.first("snapshot")["seq"]
    heard: list[int] = []
    told = 0
    while told < 300:
        count = chance.randrange(40)
        tell(elm, count)
        told += count
        for _ in range(chance.randrange(count + 1)):
            message = watching.first("tool")
            heard.append(message["seq"])
            last = message["seq"]
        if chance.random() < 0.6:
            watching.drop() if chance.random() < 0.5 else watching.close()
            watching = sockets.watch(token=token_of(elm))
            watching.say("resume", seq=last)
    while last < first + told:
        last = watching.first("tool")["seq"]
        heard.append(last)
    assert heard == list(range(first + 1, first + told + 1))


def test_who_missed_nothing_is_told_where_it_goes_on(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(token=token_of(elm))
    seq = watching.first("snapshot")["seq"]
    again = sockets.watch(token=token_of(elm))
    again.say("resume", seq=seq)
    assert again.next()["type"] == "ping"
    tell(elm, 1)
    assert (again.next()["seq"], again.heard[0]["seq"]) == (seq + 1, seq)


def test_a_gap_that_the_stream_does_not_reach_back_to_is_bridged_by_a_snapshot(
    sockets: RunningSockets, elm: Clinic
) -> None:
    watching = sockets.watch(token=token_of(elm))
    seq = watching.first("snapshot")["seq"]
    watching.drop()
    tell(elm, stream.MOST_KEPT + 1)
    steady = sockets.watch(token=token_of(elm))
    steady.until(lambda message: message["seq"] == seq + stream.MOST_KEPT + 1)
    again = sockets.watch(token=token_of(elm))
    again.say("resume", seq=seq)
    assert again.next()["type"] == "snapshot"
    assert again.heard[0]["seq"] == seq + stream.MOST_KEPT + 1
    exact = sockets.watch(token=token_of(elm))
    exact.say("resume", seq=seq + 1)
    assert exact.next()["seq"] == seq + 2


@pytest.mark.parametrize("seq", [0, 1, 2**52])
def test_a_number_that_was_never_given_is_answered_by_a_snapshot(
    sockets: RunningSockets, elm: Clinic, seq: int
) -> None:
    watching = sockets.watch(token=token_of(elm))
    watching.say("resume", seq=seq)
    assert watching.next()["type"] == "snapshot"


@pytest.mark.parametrize("seq", [None, "7", True, -1, 1.5, 2**60, [], {}])
def test_a_resume_that_cannot_be_read_is_answered_and_the_snapshot_comes(
    sockets: RunningSockets, elm: Clinic, seq: object
) -> None:
    watching = sockets.watch(token=token_of(elm))
    watching.say("resume", seq=seq, id="mine")
    answer = watching.first("answer")
    assert (answer["data"]["code"], answer["data"]["id"]) == ("invalid_request", "mine")
    if not any(message["type"] == "snapshot" for message in watching.heard):
        watching.first("snapshot")


def test_a_late_resume_replays_too(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(token=token_of(elm))
    seq = watching.first("snapshot")["seq"]
    tell(elm, 3)
    watching.until(lambda message: message["seq"] == seq + 3)
    watching.heard.clear()
    watching.say("resume", seq=seq + 1)
    watching.first("ping")
    assert [message["seq"] for message in events(watching.heard)] == [seq + 2, seq + 3]


def test_nothing_is_told_of_what_was_rolled_back(sockets: RunningSockets, elm: Clinic) -> None:
    watching = sockets.watch(token=token_of(elm))
    seq = watching.first("snapshot")["seq"]
    with transaction.atomic():
        announce(elm.id, "tool", new_id(), {"tool": "lost"})
        transaction.set_rollback(True)
    announce(elm.id, "tool", new_id(), {"tool": "kept"})
    told = watching.first("tool")
    assert (told["data"]["tool"], told["seq"]) == ("kept", seq + 1)
