"""The row-level security policies, as a migration operation.

``FORCE`` binds the owner too; the owner gets a policy of its own, for data migrations and for the narrow
look-up functions that run before the clinic is known (they are SECURITY DEFINER and return ids only).
"""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.base import Operation

POLICY_TEMPLATE = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY clinic_rows ON {table}
    USING ({column} = ANY ((SELECT string_to_array(
               nullif(current_setting('voxanne.org_ids', true), ''), ',')::uuid[])::uuid[])
           OR (SELECT current_setting('voxanne.platform', true)) = 'on');
CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true);
"""
UNDO_TEMPLATE = """
DROP POLICY owner_rows ON {table};
DROP POLICY clinic_rows ON {table};
ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
"""


class ProtectRows(Operation):
    """Makes a model's table default-deny outside a scope; ``column`` holds the clinic's id."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, column: str = "org_id") -> None:
        self.model_name = model_name
        self.column = column

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The model's state does not change."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._run(POLICY_TEMPLATE, app_label, schema_editor, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._run(UNDO_TEMPLATE, app_label, schema_editor, from_state)

    def describe(self) -> str:
        return f"Protect the rows of {self.model_name} by clinic"

    def _run(self, template: str, app_label: str, schema_editor: Any, state: Any) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        table = schema_editor.quote_name(model._meta.db_table)
        schema_editor.execute(template.format(table=table, column=schema_editor.quote_name(self.column)))
