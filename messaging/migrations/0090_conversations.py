from __future__ import annotations

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import voxanne.tenancy.ids
from voxanne.tenancy.row_security import ProtectRows

KINDS = [
    ("confirmation", "Confirmation"),
    ("rescheduled", "New time"),
    ("cancelled", "Cancellation"),
    ("reminder", "Reminder"),
    ("missed_call", "Missed call"),
    ("missed_call_after_hours", "Missed call, after hours"),
    ("reply", "Reply"),
    ("auto_reply", "Automatic reply, closed"),
]


def owned() -> list[tuple[str, models.Field]]:
    return [
        (
            "id",
            models.UUIDField(
                default=voxanne.tenancy.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("created_at", models.DateTimeField(auto_now_add=True)),
        (
            "org",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                to="tenancy.organization",
                verbose_name="clinic",
            ),
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0080_texting_rules"),
        ("tenancy", "0003_versions_never_used_twice"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Conversation",
            fields=[
                *owned(),
                (
                    "number",
                    models.CharField(
                        help_text="The other side, E.164 where it is a phone.", max_length=40
                    ),
                ),
                ("newest_at", models.DateTimeField(help_text="When either side wrote last, by hand.")),
                (
                    "waiting_since",
                    models.DateTimeField(
                        blank=True, help_text="The oldest text that nobody has answered.", null=True
                    ),
                ),
                (
                    "unread",
                    models.PositiveIntegerField(default=0, help_text="Texts that nobody has looked at."),
                ),
                ("auto_replied_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "conversations",
                "ordering": ("-newest_at",),
                "constraints": [
                    models.UniqueConstraint(fields=("org", "number"), name="one_conversation_a_number")
                ],
                "indexes": [
                    models.Index(fields=["org", "waiting_since", "-newest_at"], name="idx_conversations_list"),
                    models.Index(
                        fields=["org"],
                        name="idx_conversations_unread",
                        condition=models.Q(("unread__gt", 0)),
                    ),
                ],
            },
        ),
        ProtectRows("conversation"),
        migrations.CreateModel(
            name="ReplySettings",
            fields=[
                *owned(),
                (
                    "auto_reply",
                    models.BooleanField(
                        default=False,
                        help_text="Whoever texts outside opening hours is told so. The words are under Message wording.",
                        verbose_name="answer by itself while closed",
                    ),
                ),
                (
                    "auto_reply_hours",
                    models.PositiveSmallIntegerField(
                        default=12,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(168),
                        ],
                        verbose_name="at most once a person in so many hours",
                    ),
                ),
                (
                    "segment_price",
                    models.DecimalField(
                        blank=True,
                        decimal_places=4,
                        help_text=(
                            "Such as 0.0079. Whoever writes a text sees what it will cost; blank, only how many segments."
                        ),
                        max_digits=7,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="what one segment costs",
                    ),
                ),
                (
                    "currency",
                    models.CharField(
                        blank=True,
                        default="",
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{3}$", "Three capital letters, such as USD or GBP."
                            )
                        ],
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "reply_settings",
                "verbose_name_plural": "reply settings",
                "constraints": [
                    models.UniqueConstraint(fields=("org",), name="one_reply_settings_a_clinic")
                ],
            },
        ),
        ProtectRows("replysettings"),
        migrations.AddField(
            model_name="inboundmessage",
            name="media",
            field=models.JSONField(
                blank=True, default=list, help_text="Links to pictures and files at Twilio."
            ),
        ),
        migrations.AddField(
            model_name="message",
            name="author",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="message",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=30),
        ),
        migrations.AlterField(
            model_name="messagetemplate",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=30),
        ),
        migrations.AlterField(
            model_name="whatsapptemplate",
            name="kind",
            field=models.CharField(choices=KINDS, max_length=30),
        ),
    ]
