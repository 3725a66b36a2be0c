"""Many dead letters at once: redriven or discarded in steps by the workers, so that nobody waits and nothing stampedes.

The act is a row of durable work that holds the ids of the texts as they were shown when it was asked for; what dies
later is not part of it. Each step moves its rows and counts them in one transaction, by compare-and-swap: whatever is
pressed twice, by however many people, a text is put back once. One of which nobody knows whether it arrived is counted
and left to a person. Between the steps of a redrive the texts put back so
far are looked at: where most of them die again the rest is left alone, and a person is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from messaging.models import BulkAct, Message
from messaging.states import MessageState
from messaging.undelivered.bulk_states import BulkState
from messaging.undelivered.dead_letters import discard_many, in_doubt_among, redrive_many
from monitoring.retention import remove
from voxanne.durable import work
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind
from voxanne.tenancy.models import User

BULK_WORK = "bulk-acts"
BULK_QUEUE = "maintenance"

MOST_CHOSEN = 20_000
# 50 texts a second and clinic, which the clinic's own pace may slow further.
ROWS_A_STEP = 250
PAUSE = timedelta(seconds=5)
# So many texts that died again, and at least this share of those whose turn is over, stop a redrive.
ENOUGH_DIED = 10
SHARE_DIED = 0.5
MOST_JUDGED = 1_000
KEPT = timedelta(days=90)
STILL_UNDER_WAY = (MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN)
BY_A_PERSON = "Stopped by a person."


@dataclass(frozen=True, slots=True)
class Asked:
    """``acts``: what is written down under the page's key, the oldest first; ``made``: those of them that this very
    asking wrote."""

    acts: list[BulkAct]
    made: list[BulkAct]


class KeyOfAnotherAct(Exception):
    """The page's key was used for something else: another act, by another person or for another reason."""


def ask_for(
    act: BulkAct.Act,
    chosen: Iterable[tuple[UUID, UUID]],
    *,
    reason: str,
    asked_by: User | None,
    asked_key: UUID,
) -> Asked:
    """Writes down that ``act`` is to be done to the chosen texts (clinic, id): one row a clinic. Inside a scope that
    holds those clinics. The same ``asked_key`` asked again makes no second row. Raises KeyOfAnotherAct, and writes
    nothing, where it stands for something else."""
    by_clinic: dict[UUID, list[UUID]] = {}
    for org_id, pk in chosen:
        by_clinic.setdefault(org_id, []).append(pk)
    wanted = [
        BulkAct(org_id=org_id, act=act, chosen=pks, reason=reason, asked_by=asked_by, asked_key=asked_key)
        for org_id, pks in by_clinic.items()
    ]
    with transaction.atomic():
        BulkAct.objects.bulk_create(wanted, ignore_conflicts=True)
        acts = list(BulkAct.objects.filter(asked_key=asked_key).order_by("created_at"))
        asker = None if asked_by is None else asked_by.pk
        if any((row.act, row.reason, row.asked_by_id) != (act, reason, asker) for row in acts):
            raise KeyOfAnotherAct
    new = {row.pk for row in wanted}
    made = [row for row in acts if row.pk in new]
    for row in made:
        hint_on_commit(BULK_WORK, BULK_QUEUE, row.org_id, row.pk)
    return Asked(acts, made)


def stop(act: BulkAct) -> bool:
    """Leaves what is not handled yet alone. True when this call did it."""
    stopped = Settlement(BulkState.STOPPED, error=BY_A_PERSON, uses_attempt=False)
    return work.move(BulkAct, act.org_id, act.pk, stopped, sources=(BulkState.QUEUED, BulkState.WORKING))


def go_on(act: BulkAct) -> bool:
    """Takes a stopped act up again where it stopped; what died before does not stop it again."""
    afresh = work.afresh(BulkAct, {"judged": act.handled})
    if not work.move(BulkAct, act.org_id, act.pk, afresh, sources=(BulkState.STOPPED,)):
        return False
    hint_on_commit(BULK_WORK, BULK_QUEUE, act.org_id, act.pk)
    return True


def prepare(act: BulkAct) -> str:
    """Why the act is not to go on; blank when it is."""
    return dying_again(act) if act.act == BulkAct.Act.REDRIVE else ""


def step(act: BulkAct, dying: str) -> Settlement:
    """The next few texts."""
    if dying:
        return Settlement(BulkState.STOPPED, error=dying, uses_attempt=False)
    now = act.chosen[act.handled : act.handled + ROWS_A_STEP]
    handled = act.handled + len(now)
    over = handled >= len(act.chosen)
    paced = act.act == BulkAct.Act.REDRIVE and not over
    return Settlement(
        BulkState.DONE if over else BulkState.QUEUED,
        uses_attempt=False,
        wait=PAUSE if paced else timedelta(0),
        columns={"handled": handled},
        within=partial(_do, act, now),
    )


def _do(act: BulkAct, pks: Sequence[UUID]) -> None:
    do = redrive_many if act.act == BulkAct.Act.REDRIVE else discard_many
    done = do(act.org_id, pks, reason=act.reason, actor_id=act.asked_by_id)
    left = in_doubt_among(act.org_id, pks) if act.act == BulkAct.Act.REDRIVE else 0
    BulkAct.objects.filter(pk=act.pk).update(changed=F("changed") + done, in_doubt=F("in_doubt") + left)


def dying_again(act: BulkAct) -> str:
    """A sentence where most of the texts that this act put back have died again; else blank. In the clinic's scope."""
    put_back = act.chosen[act.judged : act.handled][-MOST_JUDGED:]
    if not put_back:
        return ""
    seen = Message.objects.filter(org_id=act.org_id, pk__in=put_back)
    through = seen.exclude(state__in=STILL_UNDER_WAY).exclude(
        # Those that were left alone, because their time was over.
        Q(state=MessageState.DEAD_LETTER, dead_lettered_at__lt=act.created_at)
    )
    died = through.filter(state=MessageState.DEAD_LETTER)
    dead, over = died.count(), through.count()
    if dead < ENOUGH_DIED or dead < SHARE_DIED * over:
        return ""
    newest = died.order_by("-dead_lettered_at").values_list("last_error", flat=True).first()
    return f"Stopped: {dead} of the last {over} texts died again. {newest or ''}".strip()


def forget_old_acts() -> int:
    """Removes what was done to many texts long ago; returns how many rows. One that is not over is never removed."""
    return remove(_done_long_ago, "remove old bulk acts")


def _done_long_ago() -> QuerySet[BulkAct]:
    over = BulkAct.objects.filter(state__in=(BulkState.DONE, BulkState.STOPPED))
    return over.filter(created_at__lt=timezone.now() - KEPT, updated_at__lt=timezone.now() - KEPT).order_by(
        "created_at"
    )


BULK_ACT = WorkKind(
    name=BULK_WORK,
    model=BulkAct,
    prepare=prepare,
    perform=step,
    lease=timedelta(seconds=60),
    queue=BULK_QUEUE,
    threads=1,
)
