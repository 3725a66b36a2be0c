"""Whom we talk with and what was said: contacts, messages, their attempts, opt-outs, templates, senders, and what
the people at the desk are told of."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast

from messaging.bulk_states import BULK_LIFECYCLE, BulkState
from messaging.channels import Channel
from messaging.conversation.models import Conversation, ReplySettings
from messaging.states import LIFECYCLE, MessageKind, MessageState, TaskKind
from voxanne.durable.models import DurableWork
from voxanne.encryption import EncryptedTextField
from voxanne.indexes import NamedIndex
from voxanne.tenancy.owned import Owned

# Django looks for models here.
ELSEWHERE = (Conversation, ReplySettings)


class Contact(Owned):
    """A phone number (or an e-mail address) that a clinic knows, and the people behind it."""

    phone = models.CharField(max_length=20, null=True, blank=True, help_text="E.164, such as +14155550142.")
    email = models.EmailField(blank=True, default="")
    name = models.CharField(max_length=120, blank=True, default="")
    names = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    language = models.CharField(max_length=10, blank=True, default="en")
    consent_source = models.CharField(max_length=40, blank=True, default="")
    consent_at = models.DateTimeField(null=True, blank=True)
    # Blank until the person writes by WhatsApp or says which they want; text is what everybody gets.
    preferred_channel = models.CharField(
        max_length=10,
        choices=Channel.choices,
        blank=True,
        default="",
        db_default="",
        help_text="Texts, unless they want WhatsApp.",
    )
    whatsapp_consent_source = models.CharField(
        "WhatsApp consent source", max_length=40, blank=True, default="", db_default=""
    )
    whatsapp_consent_at = models.DateTimeField("WhatsApp consent at", null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "contacts"
        ordering = ("name",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "phone"], name="one_contact_a_phone"),
            models.UniqueConstraint(
                fields=["org", "email"], condition=Q(phone__isnull=True), name="one_contact_an_email"
            ),
            models.CheckConstraint(
                condition=Q(phone__isnull=False) | ~Q(email=""), name="contact_can_be_reached"
            ),
        ]

    def __str__(self) -> str:
        return self.name or "Contact"


class Message(DurableWork):
    """One text to one person. The row is the queue; its fate is exactly one of ``MessageState``."""

    lifecycle = LIFECYCLE

    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="messages"
    )
    kind = models.CharField(max_length=30, choices=MessageKind.choices)
    state = models.CharField(max_length=20, choices=MessageState.choices, default=MessageState.QUEUED)
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="0 asked for now, 1 time-bound, 2 bulk, 3 asked for and put back with many."
    )
    dedupe_key = models.CharField(max_length=120, help_text="Unique per clinic: what must not be said twice.")
    about = models.CharField(
        max_length=80, blank=True, default="", help_text="What it is about, such as appointment:<id>."
    )
    # It may change once, from WhatsApp to text (messaging/whatsapp.py), never back.
    channel = models.CharField(
        max_length=10, choices=Channel.choices, default=Channel.SMS, db_default=Channel.SMS
    )
    recipient = models.CharField(max_length=20)
    sender = models.CharField(
        max_length=40, blank=True, default="", help_text="Ours, as the provider knows it on the channel."
    )
    body = models.TextField()
    # What an approved template's places are filled with; only of what goes by WhatsApp.
    template_values = models.JSONField(null=True, blank=True)
    encoding = models.CharField(max_length=5, default="GSM-7")
    segments = models.PositiveSmallIntegerField(default=1)
    expires_at = models.DateTimeField()

    provider_sid = models.CharField(max_length=40, blank=True, default="")
    provider_status = models.CharField(max_length=30, blank=True, default="")
    error_code = models.PositiveIntegerField(null=True, blank=True)
    first_attempted_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    dead_lettered_at = models.DateTimeField(null=True, blank=True)
    unknown_since = models.DateTimeField(null=True, blank=True)
    first_empty_list_at = models.DateTimeField(null=True, blank=True)
    slot_at = models.DateTimeField(
        null=True, blank=True, help_text="Its place in the sender's pace, as long as it waits for that."
    )
    # When Twilio was last asked what became of it, no receipt having come (messaging/silent.py).
    receipt_asked_at = models.DateTimeField(null=True, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    class Meta:
        db_table = "sms_delivery_log"
        ordering = ("-created_at",)
        permissions: ClassVar = [
            ("redrive_message", "Can redrive a dead letter"),
            ("discard_message", "Can discard a dead letter"),
            ("decide_message", "Can decide about a text of unknown fate"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "dedupe_key"], name="one_message_a_dedupe_key"),
            models.UniqueConstraint(
                fields=["org", "provider_sid"], condition=~Q(provider_sid=""), name="one_message_a_sid"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_sms_delivery_log_org_id"),
            models.Index(
                fields=["state", "priority", "next_attempt_at"],
                name="idx_sms_delivery_log_status",
                condition=Q(state__in=["queued", "sending", "unknown"]),
            ),
            # From clinic to clinic within a priority: voxanne/durable/turns.py, and why it is an integer there.
            models.Index(
                Cast("priority", models.IntegerField()),
                "org",
                "next_attempt_at",
                name="idx_sms_delivery_log_turns",
                condition=Q(state="queued"),
            ),
            NamedIndex(fields=["-created_at"], name="idx_sms_delivery_log_created_at"),
            models.Index(
                fields=["-dead_lettered_at"],
                name="idx_sms_delivery_log_failures",
                condition=Q(state="dead_letter"),
            ),
            models.Index(fields=["org", "about"], name="idx_sms_delivery_log_about", condition=~Q(about="")),
            models.Index(fields=["contact"], name="idx_sms_delivery_log_contact"),
            models.Index(fields=["org", "recipient"], name="idx_sms_delivery_log_recipient"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.get_state_display()})"


class DeliveryAttempt(Owned):
    """One try at sending a message: written before the request leaves, completed by its outcome."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="tries")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=30, blank=True, default="")
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error_code = models.PositiveIntegerField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    provider_sid = models.CharField(max_length=40, blank=True, default="")
    channel = models.CharField(
        max_length=10, choices=Channel.choices, default=Channel.SMS, db_default=Channel.SMS
    )
    # Made by messaging/provider_copies.py: no words of the text, numbers masked. They go when the try goes.
    request = models.JSONField(null=True, blank=True)
    answer = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "delivery_attempts"
        ordering = ("started_at",)
        indexes: ClassVar = [models.Index(fields=["org", "message"], name="idx_delivery_attempts_message")]

    def __str__(self) -> str:
        return self.outcome or "under way"


class OptOut(Owned):
    """One line of the ledger of people who asked not to be texted; the newest line for a pair decides."""

    sender = models.CharField(max_length=40, help_text="Our number or messaging service.")
    recipient = models.CharField(max_length=20)
    opted_out = models.BooleanField(default=True, help_text="False where the person asked for texts again.")
    source = models.CharField(max_length=40, help_text="keyword, carrier (21610) or staff.")

    class Meta:
        db_table = "opt_outs"
        ordering = ("-created_at",)
        permissions: ClassVar = [("record_optout", "Can record what a person said about texts")]
        indexes: ClassVar = [
            models.Index(fields=["org", "recipient", "sender", "-created_at"], name="idx_opt_outs_pair")
        ]

    def __str__(self) -> str:
        return "opted out" if self.opted_out else "opted in"


class InboundMessage(Owned):
    """A text that somebody sent to a clinic's number."""

    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="inbound_messages"
    )
    provider_sid = models.CharField(max_length=40)
    sender = models.CharField(max_length=20)
    recipient = models.CharField(max_length=20)
    body = models.TextField(blank=True, default="")
    keyword = models.CharField(
        max_length=10, blank=True, default="", help_text="STOP, START or HELP, if it was one."
    )
    channel = models.CharField(
        max_length=10, choices=Channel.choices, default=Channel.SMS, db_default=Channel.SMS
    )
    profile_name = models.CharField(
        max_length=120, blank=True, default="", db_default="", help_text="What they call themselves there."
    )
    button = models.CharField(
        max_length=256, blank=True, default="", db_default="", help_text="The button they pressed, if one."
    )
    media = models.JSONField(default=list, blank=True, help_text="Links to pictures and files at Twilio.")

    class Meta:
        db_table = "inbound_messages"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "provider_sid"], name="one_row_a_received_text"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "sender", "-created_at"], name="idx_inbound_messages_sender")
        ]

    def __str__(self) -> str:
        return self.keyword or "Text"


class MessageTemplate(Owned):
    """A clinic's own wording for one kind of message; {clinic}, {date}, {time} and {link} are filled in."""

    kind = models.CharField(max_length=30, choices=MessageKind.choices)
    body = models.TextField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "message_templates"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "kind"], name="one_template_a_kind"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class WhatsAppTemplate(Owned):
    """What WhatsApp approved for one kind of message: said where free words may not be."""

    kind = models.CharField(max_length=30, choices=MessageKind.choices)
    content_sid = models.CharField(
        "Content SID", max_length=34, help_text="HX and 32 characters, on Twilio's page of it."
    )
    variables = ArrayField(
        models.CharField(max_length=20),
        default=list,
        blank=True,
        help_text="What fills {{1}}, {{2}} and so on, with commas between: clinic, date, time, code, link.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "whatsapp_templates"
        verbose_name = "WhatsApp template"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "kind"], name="one_whatsapp_template_a_kind"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class SenderAccount(Owned):
    """The number a clinic texts from, and its own Twilio account where it has one (else the platform's)."""

    number = models.CharField(max_length=20, help_text="E.164; what the patient sees.")
    account_sid = models.CharField(max_length=34, blank=True, default="")
    auth_token = EncryptedTextField(blank=True, default="")
    api_key = models.CharField(max_length=34, blank=True, default="")
    api_secret = EncryptedTextField(blank=True, default="")
    messaging_service_sid = models.CharField(max_length=34, blank=True, default="")
    segments_per_second = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="What Twilio granted this number, such as 4 for a registered campaign. Leave empty if you do not"
        " know: the kind of number then decides.",
    )
    # Set by messaging/pauses.py alone: with a reason, the clinic's texts are held back.
    paused_reason = models.CharField(max_length=200, blank=True, default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    whatsapp_number = models.CharField(
        "WhatsApp number",
        max_length=20,
        blank=True,
        default="",
        db_default="",
        help_text="E.164; may be the same.",
    )
    whatsapp_on = models.BooleanField(
        "Use WhatsApp",
        default=False,
        db_default=False,
        help_text="For patients who want it. Keep health details out: Meta signs no agreement about them.",
    )
    # Set by messaging/whatsapp.py alone: with a reason, everything goes by text.
    whatsapp_paused_reason = models.CharField(
        "WhatsApp paused because", max_length=200, blank=True, default="", db_default=""
    )

    class Meta:
        db_table = "sender_accounts"
        permissions: ClassVar = [("pause_senderaccount", "Can pause and resume sending")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org"], name="one_sender_a_clinic"),
            models.UniqueConstraint(fields=["number"], name="a_sender_belongs_to_one_clinic"),
            models.UniqueConstraint(
                fields=["whatsapp_number"],
                condition=~Q(whatsapp_number=""),
                name="a_whatsapp_sender_belongs_to_one_clinic",
            ),
            models.CheckConstraint(
                condition=Q(whatsapp_on=False) | ~Q(whatsapp_number=""), name="whatsapp_needs_a_number"
            ),
        ]

    def __str__(self) -> str:
        return "Sender"


class MessagingPolicy(Owned):
    """How a clinic's texts behave: when they wait for the morning, and how many may go out. No row, or a blank field:
    nothing is held back. Read through messaging/policy.py."""

    quiet_from = models.TimeField(
        "quiet from",
        null=True,
        blank=True,
        help_text="From this time of the recipient's day, reminders and texts to many wait. What was just asked for"
        " goes out at any hour. Blank: never.",
    )
    quiet_until = models.TimeField(
        "quiet until", null=True, blank=True, help_text="They go out from this time on."
    )
    monthly_segments = models.PositiveIntegerField(
        "monthly budget",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Segments a calendar month, which is what carriers charge for: 160 plain characters are one."
        " Blank: no limit.",
    )
    messages_a_minute = models.PositiveIntegerField(
        "texts a minute",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Blank: no limit.",
    )
    answers_help = models.BooleanField(
        "answer HELP ourselves",
        default=False,
        help_text="Twilio answers HELP by itself. Switch on only where that is switched off at Twilio, or patients are"
        " answered twice.",
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "messaging_policies"
        verbose_name = "texting rules"
        verbose_name_plural = "texting rules"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org"], name="one_policy_a_clinic"),
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False) & ~Q(quiet_from=F("quiet_until")),
                name="quiet_hours_begin_and_end",
            ),
        ]

    def __str__(self) -> str:
        return "Texting rules"


class StaffTask(Owned):
    """Something a person at the clinic is to know of, until one of them says that they do."""

    class Urgency(models.TextChoices):
        NORMAL = "normal", "Normal"
        URGENT = "urgent", "Urgent"

    kind = models.CharField(max_length=30, choices=TaskKind.choices)
    urgency = models.CharField(max_length=10, choices=Urgency.choices, default=Urgency.NORMAL)
    text = models.TextField()
    from_number = models.CharField(max_length=40, blank=True, default="")
    callback_number = models.CharField(max_length=40, blank=True, default="")
    call_id = models.UUIDField(null=True, blank=True, help_text="The call it came from.")
    contact = models.ForeignKey(
        Contact, null=True, blank=True, on_delete=models.SET_NULL, related_name="staff_tasks"
    )
    about = models.CharField(max_length=80, blank=True, default="", help_text="Such as appointment:<id>.")
    dedupe_key = models.CharField(max_length=120, help_text="Unique per clinic: what must not be told twice.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        db_table = "staff_tasks"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "dedupe_key"], name="one_task_a_dedupe_key"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_staff_tasks_org"),
            models.Index(
                fields=["org", "-created_at"], name="idx_staff_tasks_open", condition=Q(acknowledged_at=None)
            ),
            models.Index(fields=["contact"], name="idx_staff_tasks_contact"),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()


class DeadLetter(Message):
    """A message as the people see it who look after those that were given up: a page of its own, no table."""

    class Meta:
        proxy = True
        verbose_name = "undelivered text"


class BulkAct(DurableWork):
    """What one person asked to be done to many dead letters of a clinic: worked off in steps, in the background.

    ``chosen`` are the messages as they were shown; of them the first ``handled`` have had their turn, ``changed`` by
    it, and ``in_doubt`` are left to a person. The fates of those from ``judged`` on are watched: where they die again,
    the rest is left alone.
    """

    lifecycle = BULK_LIFECYCLE

    class Act(models.TextChoices):
        REDRIVE = "redrive", "Send again"
        DISCARD = "discard", "Discard"

    act = models.CharField(max_length=10, choices=Act.choices)
    state = models.CharField(max_length=20, choices=BulkState.choices, default=BulkState.QUEUED)
    reason = models.CharField(max_length=200)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    asked_key = models.UUIDField(help_text="Of the page that asked: pressed twice, it is done once.")
    chosen = ArrayField(models.UUIDField())
    handled = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    in_doubt = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Left alone: nobody knows whether they arrived."
    )
    judged = models.PositiveIntegerField(default=0)

    class Meta:
        db_table = "message_bulk_acts"
        ordering = ("-created_at",)
        verbose_name = "bulk act on texts"
        verbose_name_plural = "bulk acts on texts"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "asked_key"], name="one_bulk_act_a_page"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "-created_at"], name="idx_message_bulk_acts_org"),
            models.Index(
                fields=["state", "next_attempt_at"],
                name="idx_message_bulk_acts_live",
                condition=Q(state__in=["queued", "working"]),
            ),
        ]

    def __str__(self) -> str:
        return self.get_act_display()
