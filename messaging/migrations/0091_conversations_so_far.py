from __future__ import annotations

from django.db import migrations, models

# Texts that came before there were conversations: they wait where their task is still open, and count as read.
SO_FAR = """
INSERT INTO conversations (id, org_id, number, newest_at, waiting_since, unread, created_at)
SELECT gen_random_uuid(), i.org_id, i.sender, max(i.created_at),
       min(i.created_at) FILTER (WHERE t.id IS NOT NULL), 0, now()
FROM inbound_messages i
LEFT JOIN staff_tasks t ON t.org_id = i.org_id AND t.dedupe_key = 'text:' || i.provider_sid
                       AND t.kind = 'text' AND t.acknowledged_at IS NULL
GROUP BY i.org_id, i.sender
ON CONFLICT (org_id, number) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0090_conversations")]

    operations = [
        migrations.RunSQL(SO_FAR, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["org", "recipient"], name="idx_sms_delivery_log_recipient"),
        ),
    ]
