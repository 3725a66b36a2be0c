from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models.functions import Coalesce

# Until now these words alone said so.
IN_DOUBT = (
    "Its time passed and Twilio could not be asked whether it was sent. Look at Twilio's log; if it is not there, tell"
    " the patient in another way.",
    "Twilio has a text to this number that may be this one, without its words. Look at Twilio's log before it is"
    " sent again.",
    "Twilio has a text to this number that may be this one, in other words. Look at Twilio's log before it is sent"
    " again.",
    "Twilio's answers were lost and its list does not show this text, but it may have arrived. Look at Twilio's log, or"
    " ask the patient, before it is sent again.",
)


def mark_those_given_up_in_doubt(apps: Any, schema_editor: Any) -> None:
    messages = apps.get_model("messaging", "Message")._base_manager.using(schema_editor.connection.alias)
    given_up = messages.filter(state="dead_letter", last_error__in=IN_DOUBT)
    given_up.update(in_doubt_since=Coalesce("dead_lettered_at", "updated_at"))


class Migration(migrations.Migration):
    dependencies = [("messaging", "0141_bounds_for_who_texts_us")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="in_doubt_since",
            field=models.DateTimeField(
                blank=True, null=True, help_text="Since then nobody knows whether one of its tries is on its phone."
            ),
        ),
        migrations.RunPython(mark_those_given_up_in_doubt, migrations.RunPython.noop, elidable=True),
    ]
