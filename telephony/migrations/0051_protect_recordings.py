from __future__ import annotations

from django.db import migrations

from voxanne.tenancy.row_security import ProtectRows


class Migration(migrations.Migration):
    dependencies = [("telephony", "0050_recordings")]

    operations = [ProtectRows("callsettings"), ProtectRows("recording")]
