from __future__ import annotations

from django.db import migrations

# Whoever settles the text (a worker, a receipt, a look-up, its time): the desk that counts on it is told in the same
# transaction. An open task learns of it; where somebody has seen to that task already, there is a new one.
TELL = """
CREATE FUNCTION tell_desk_of_missed_callers_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'delivered' THEN
        UPDATE staff_tasks SET urgency = 'normal', text = 'Nobody took a call. The text to the caller arrived after all.'
        WHERE org_id = NEW.org_id AND about = NEW.about AND kind = 'missed_call' AND acknowledged_at IS NULL
          AND urgency = 'urgent';
        RETURN NULL;
    END IF;
    UPDATE staff_tasks
    SET urgency = 'urgent',
        text = rtrim('Ring back: nobody took a call, and the text to the caller did not arrive. ' || NEW.last_error)
    WHERE org_id = NEW.org_id AND about = NEW.about AND kind = 'missed_call' AND acknowledged_at IS NULL;
    IF NOT FOUND THEN
        INSERT INTO staff_tasks
            (id, org_id, kind, urgency, text, from_number, callback_number, call_id, contact_id, about, dedupe_key,
             note, created_at)
        VALUES (gen_random_uuid(), NEW.org_id, 'missed_call', 'urgent',
                rtrim('Ring back: the text to a caller whom nobody answered did not arrive. ' || NEW.last_error),
                NEW.recipient, NEW.recipient, NULL, NEW.contact_id, NEW.about, 'text-lost:' || NEW.id, '', now())
        ON CONFLICT (org_id, dedupe_key) DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_desk_of_missed_callers_text AFTER UPDATE OF state ON sms_delivery_log FOR EACH ROW
    WHEN (NEW.about LIKE 'missed:%' AND OLD.state IS DISTINCT FROM NEW.state
          AND NEW.state IN ('dead_letter', 'expired', 'suppressed', 'delivered'))
    EXECUTE FUNCTION tell_desk_of_missed_callers_text();
"""
SAY_NOTHING = """
DROP TRIGGER tell_desk_of_missed_callers_text ON sms_delivery_log;
DROP FUNCTION tell_desk_of_missed_callers_text();
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0120_dead_letter_page")]

    operations = [migrations.RunSQL(TELL, SAY_NOTHING)]
