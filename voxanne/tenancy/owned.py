"""What every row of a clinic shares: an id, its clinic, and a manager that insists on a scope."""

from __future__ import annotations

from typing import ClassVar, Self, TypeVar

from django.db import models

from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import required_scope

OwnedModel = TypeVar("OwnedModel", bound=models.Model, covariant=True)


class OwnedQuerySet(models.QuerySet[OwnedModel]):
    """Rows of the clinics in scope. The database holds the same line; this one fails loudly."""

    def in_scope(self) -> Self:
        scope = required_scope()
        if scope.is_platform:
            return self
        if len(scope.org_ids) == 1:
            return self.filter(org_id=next(iter(scope.org_ids)))
        return self.filter(org_id__in=scope.org_ids)


class OwnedManager(models.Manager[OwnedModel]):
    """Raises ScopeError when a clinic's rows are asked for outside a scope."""

    def get_queryset(self) -> OwnedQuerySet[OwnedModel]:
        queryset: OwnedQuerySet[OwnedModel] = OwnedQuerySet(self.model, using=self._db)
        return queryset.in_scope()


class Owned(models.Model):
    """A row that belongs to one clinic."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Each table has an index that begins with org_id and serves a real question; a bare one serves none.
    org = models.ForeignKey(
        "tenancy.Organization", on_delete=models.PROTECT, db_index=False, verbose_name="clinic"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[OwnedManager[Self]] = OwnedManager()

    class Meta:
        abstract = True
