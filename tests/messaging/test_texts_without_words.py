"""Lost texts at accounts whose list shows other words than ours, or none: found, or left to a person, never doubled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as product
from django.utils import timezone

from messaging.fates.deciding import Decided, is_open, mark_sent, send_again
from messaging.fates.receipts import Receipt, apply_receipt
from messaging.fates.reconciliation import IN_OTHER_WORDS, LONGEST_DOUBT, WITHOUT_WORDS
from messaging.models import Message
from messaging.sending import tries
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from tests.messaging.desk import Desk, later
from tests.messaging.test_reconciliation import GAP, lost_after_it_was_taken, lost_before_it_was_taken
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

OUT = (MessageState.SENT, MessageState.DELIVERED)
DOUBT = LONGEST_DOUBT.total_seconds()


def account(desk: Desk, **kind: bool) -> None:
    own = {"sid": product.TWILIO_ACCOUNT_SID, "auth_token": product.TWILIO_AUTH_TOKEN}
    desk.sandbox.control("/twilio/accounts", {**own, **kind})


@pytest.fixture
def wordless(desk: Desk) -> Desk:
    """The clinic's texts at an account that keeps no bodies."""
    account(desk, keeps_no_bodies=True)
    return desk


def sweep_for(desk: Desk, seconds: float) -> None:
    """What sweepers and workers do in that time."""
    for passed in range(0, int(seconds) + 1, GAP + 1):
        with later(passed):
            desk.look_up()
            while (claimed := work.claim_next(SMS_DELIVERY)) is not None:
                work.perform(SMS_DELIVERY, claimed)


def test_a_trial_accounts_line_before_the_words_hides_no_text(desk: Desk) -> None:
    account(desk, trial=True)
    message = lost_after_it_was_taken(desk)
    assert desk.phone() == [f"Sent from your Twilio trial account - {message.body}"]
    sweep_for(desk, 3 * GAP)
    assert desk.now(message).state in OUT
    assert desk.now(message).provider_sid == desk.sids()[0]
    assert len(desk.phone()) == 1


def test_a_text_without_words_that_nobody_else_holds_is_found(wordless: Desk) -> None:
    message = lost_after_it_was_taken(wordless)
    sweep_for(wordless, 3 * GAP)
    assert wordless.now(message).state in OUT
    assert wordless.now(message).provider_sid == wordless.sids()[0]
    assert wordless.phone() == [message.body]


@pytest.mark.parametrize("body", ["", "  ", "**REDACTED**", "[redacted]", "XXXX", "xxxx-xxxx"])
def test_what_stands_in_place_of_words_is_known_for_it(body: str) -> None:
    assert WITHOUT_WORDS.fullmatch(body)


@pytest.mark.parametrize("body", ["See you at nine.", "OK", "Redacted by Max", "9"])
def test_words_are_not_taken_for_none(body: str) -> None:
    assert WITHOUT_WORDS.fullmatch(body) is None


def test_a_text_without_words_that_another_row_holds_is_not_taken_for_it(wordless: Desk) -> None:
    message = lost_before_it_was_taken(wordless)
    other = wordless.write("Another.")
    wordless.send(other)
    sweep_for(wordless, 2 * GAP)
    assert wordless.now(message).state in OUT
    assert wordless.phone() == [other.body, message.body], "it was sent again, once"


def test_a_text_without_words_of_another_time_is_not_taken_for_it(
    wordless: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that the clinic sent by hand from the same number. (The list itself begins five minutes before.)"""
    # The test moves our clock; Twilio's is to go with it.
    monkeypatch.setattr("messaging.providers.twilio.client._ahead", lambda date: timedelta(0))
    stranger = lost_after_it_was_taken(wordless, "By hand.")
    with org_scope(wordless.clinic.id):
        Message.objects.filter(pk=stranger.pk).delete()
    with later(1000):
        message = lost_before_it_was_taken(wordless)
    with later(1000 + GAP):
        wordless.look_up()
        assert wordless.now(message).first_empty_list_at is not None
        assert wordless.now(message).state == MessageState.UNKNOWN


def test_of_two_lost_texts_without_words_each_finds_its_own(wordless: Desk) -> None:
    first, second = lost_after_it_was_taken(wordless, "One."), lost_after_it_was_taken(wordless, "Two.")
    sweep_for(wordless, 3 * GAP)
    assert [wordless.now(one).provider_sid for one in (first, second)] == wordless.sids()
    assert wordless.phone() == ["One.", "Two."]


@pytest.mark.parametrize("there_first", [True, False])
def test_where_one_of_two_lost_texts_is_missing_and_no_words_say_whose_neither_is_sent_again(
    wordless: Desk, there_first: bool
) -> None:
    lose: list[Any] = [lost_after_it_was_taken, lost_before_it_was_taken]
    rows = [
        one(wordless, f"Text {serial}.") for serial, one in enumerate(lose if there_first else lose[::-1])
    ]
    (on_the_phone,) = wordless.phone()
    sweep_for(wordless, DOUBT - 2 * GAP)
    assert [wordless.now(row).state for row in rows] == [MessageState.UNKNOWN] * 2
    assert all("without its words" in wordless.now(row).last_error for row in rows)
    sweep_for(wordless, DOUBT + 3 * GAP)
    assert [wordless.now(row).state for row in rows] == [MessageState.DEAD_LETTER] * 2, "a person is asked"
    assert wordless.phone() == [on_the_phone]


def test_what_a_person_saw_at_twilio_is_not_taken_for_another_text(wordless: Desk) -> None:
    """A person counts the one as sent and cannot say which entry it is: the other one is still missing."""
    there, gone = lost_after_it_was_taken(wordless, "There."), lost_before_it_was_taken(wordless, "Gone.")
    assert mark_sent(wordless.now(there), reason="It stands in the log.", actor=None) is Decided.DONE
    sweep_for(wordless, DOUBT + 3 * GAP)
    assert wordless.now(gone).state == MessageState.DEAD_LETTER, "a person is asked about this one too"
    assert wordless.now(gone).provider_sid == ""
    assert wordless.phone() == ["There."]


def test_what_a_person_sent_again_does_not_give_its_first_text_to_another(wordless: Desk) -> None:
    there, gone = lost_after_it_was_taken(wordless, "There."), lost_before_it_was_taken(wordless, "Gone.")
    assert send_again(wordless.now(there), reason="Nobody knows.", actor=None) is Decided.DONE
    wordless.send(wordless.now(there))
    sweep_for(wordless, DOUBT + 3 * GAP)
    assert wordless.now(gone).state == MessageState.DEAD_LETTER, "a person is asked about this one too"
    assert wordless.phone() == ["There."] * 2, "of which that person was told"


def test_a_try_that_the_list_never_showed_takes_no_text_from_another(wordless: Desk) -> None:
    again = lost_before_it_was_taken(wordless, "Again.")
    sweep_for(wordless, 3 * GAP)
    assert wordless.phone() == ["Again."]
    with org_scope(wordless.clinic.id):
        assert again.tries.exclude(found_absent_at=None).count() == 1
    other = lost_after_it_was_taken(wordless, "Other.")
    wordless.look_up()
    assert wordless.now(other).state in OUT


def test_a_try_begun_since_the_lists_is_not_among_those_they_showed(desk: Desk) -> None:
    message = lost_before_it_was_taken(desk)
    with org_scope(desk.clinic.id):
        begun = timezone.now()
        later_try = message.tries.create(org=desk.clinic.org, started_at=begun + timedelta(seconds=1))
        tries.note_absent(message, begun)
        absent = message.tries.exclude(found_absent_at=None)
        assert list(absent) == list(message.tries.exclude(pk=later_try.pk))


def test_of_equal_texts_the_one_that_a_person_counted_keeps_its_own(desk: Desk) -> None:
    there, gone = (one(desk, "Equal.") for one in (lost_after_it_was_taken, lost_before_it_was_taken))
    assert mark_sent(desk.now(there), reason="It stands in the log.", actor=None) is Decided.DONE
    desk.look_up()
    assert desk.now(gone).state == MessageState.UNKNOWN
    assert "counted it as another one's" in desk.now(gone).last_error
    assert apply_receipt(desk.clinic.id, there.pk, Receipt(desk.sids()[0], "delivered", None))
    sweep_for(desk, 3 * GAP)
    assert (desk.now(there).state, desk.now(gone).state in OUT) == (MessageState.DELIVERED, True)
    assert desk.phone() == ["Equal."] * 2


def test_a_receipt_ends_the_doubt_for_both(wordless: Desk) -> None:
    there, gone = lost_after_it_was_taken(wordless, "There."), lost_before_it_was_taken(wordless, "Gone.")
    wordless.look_up()
    assert "without its words" in wordless.now(gone).last_error
    assert apply_receipt(wordless.clinic.id, there.pk, Receipt(wordless.sids()[0], "delivered", None))
    sweep_for(wordless, 3 * GAP)
    assert (wordless.now(there).state, wordless.now(gone).state in OUT) == (MessageState.DELIVERED, True)
    assert wordless.phone() == ["There.", "Gone."]


def test_a_text_that_is_on_its_way_just_now_may_be_the_one_without_words(wordless: Desk) -> None:
    """A worker has sent it and not yet written down which one it is: a lost one must not take it for its own."""
    lost = lost_before_it_was_taken(wordless, "Lost.")
    under_way = wordless.write("Under way.")
    claimed = work.claim(SMS_DELIVERY, wordless.clinic.id, under_way.pk)
    assert claimed is not None
    settlement = SMS_DELIVERY.perform(claimed.row, claimed.prepared)
    wordless.look_up()
    assert wordless.now(lost).state == MessageState.UNKNOWN
    assert work.settle(claimed.row, settlement)
    sweep_for(wordless, 3 * GAP)
    assert wordless.now(lost).state in OUT
    assert wordless.phone() == ["Under way.", "Lost."]


def test_doubt_does_not_count_as_an_empty_list(wordless: Desk) -> None:
    lost_after_it_was_taken(wordless, "There.")
    gone = lost_before_it_was_taken(wordless, "Gone.")
    wordless.look_up()
    assert wordless.now(gone).first_empty_list_at is None
    assert wordless.now(gone).next_attempt_at <= timezone.now() + timedelta(seconds=15)


# Other words


@pytest.fixture
def altered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The list shows the clinic's texts with words before them that we do not know."""
    account(desk, trial=True)
    monkeypatch.setattr("messaging.fates.reconciliation.TRIAL_LINE", "Another line -")
    return desk


def test_a_text_whose_words_were_altered_is_not_sent_again_and_a_person_is_asked(altered: Desk) -> None:
    message = lost_after_it_was_taken(altered)
    sweep_for(altered, DOUBT - 2 * GAP)
    row = altered.now(message)
    assert (row.state, row.last_error) == (MessageState.UNKNOWN, IN_OTHER_WORDS)
    sweep_for(altered, DOUBT + 3 * GAP)
    row = altered.now(message)
    assert (row.state, row.last_error) == (MessageState.DEAD_LETTER, IN_OTHER_WORDS)
    assert row.in_doubt_since is not None
    assert is_open(row)
    assert len(altered.phone()) == 1


def test_a_receipt_ends_the_doubt_about_altered_words(altered: Desk) -> None:
    message = lost_after_it_was_taken(altered)
    altered.look_up()
    assert apply_receipt(altered.clinic.id, message.pk, Receipt(altered.sids()[0], "delivered", None))
    assert altered.now(message).state == MessageState.DELIVERED


def forget(desk: Desk, stranger: Message) -> None:
    """As if the clinic had sent it by the same number, from elsewhere."""
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=stranger.pk).delete()


def test_the_clinics_own_text_from_elsewhere_at_that_minute_leaves_it_to_a_person(desk: Desk) -> None:
    forget(desk, lost_after_it_was_taken(desk, "From the clinic's old system."))
    message = lost_before_it_was_taken(desk)
    desk.look_up()
    row = desk.now(message)
    assert (row.state, row.last_error, row.first_empty_list_at) == (
        MessageState.UNKNOWN, IN_OTHER_WORDS, None,
    )  # fmt: skip


def test_the_clinics_own_text_from_elsewhere_at_another_minute_holds_nothing_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test moves our clock; Twilio's is to go with it.
    monkeypatch.setattr("messaging.providers.twilio.client._ahead", lambda date: timedelta(0))
    forget(desk, lost_after_it_was_taken(desk, "From the clinic's old system."))
    with later(2 * GAP):
        message = lost_before_it_was_taken(desk)
        desk.look_up()
    assert desk.now(message).first_empty_list_at is not None


def test_words_that_are_another_texts_of_ours_hold_nothing_up(desk: Desk) -> None:
    there = lost_after_it_was_taken(desk, "There.")
    gone = lost_before_it_was_taken(desk, "Gone.")
    with org_scope(desk.clinic.id):
        Message.objects.filter(pk=there.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
    desk.look_up()
    assert desk.now(there).provider_sid == "", "nobody holds its SID yet"
    assert desk.now(gone).first_empty_list_at is not None
