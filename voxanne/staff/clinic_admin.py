"""The page of a clinic's rows: what a person may see and do there is decided here, for every kind of row.

Three lines are held, one behind the other: the database shows a person their clinics' rows alone, the default
manager keeps to the scope, and these classes ask the person's role at the row's own clinic.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst

from voxanne.staff import audit, people
from voxanne.staff.bases import ThemedAdmin, ThemedFormSet, ThemedStackedInline, ThemedTabularInline
from voxanne.staff.clock import on_the_clinics_clock
from voxanne.staff.forms import ClinicForm
from voxanne.staff.paging import CappedChangeList, CappedPaginator
from voxanne.staff.searching import as_kept, within_sight
from voxanne.tenancy.models import Organization

MOST_HISTORY = 200


class ListedPage(ThemedAdmin):
    """What every list has in common, a clinic's or the platform's."""

    list_per_page = 25
    list_max_show_all = 25
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_filter_submit = True
    compressed_fields = True
    actions_on_top = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CappedChangeList]:
        return CappedChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return super().get_search_results(request, queryset, as_kept(search_term))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Called what the sidebar calls it."""
        named = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, {**named, **(extra_context or {})})


class ClinicAdmin(ListedPage):
    """Rows with an ``org``: listed, opened and changed at the clinics where the person's role allows it."""

    form: Any = ClinicForm
    list_select_related: ClassVar[Any] = ("org",)
    # Search fields that the list masks, and the permission that shows them whole.
    masked_fields: ClassVar[tuple[str, ...]] = ()
    shows_whole = "messaging.change_contact"
    # How a row leads to its clinic.
    clinic_column = "org_id"
    zone_path = "org__timezone"

    def in_a_line(self, row: Any) -> str:
        """What tells the row from its neighbours where several are asked about at once."""
        return str(row)

    def asked_about(self, row: Any) -> str:
        """A sentence that names the row, before what a dialog about it says; blank where its own words are enough."""
        return ""

    # --- What may be seen and done ---------------------------------------------------------------

    def permission(self, verb: str) -> str:
        return f"{self.opts.app_label}.{verb}_{self.opts.model_name}"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.holds(request, self.permission("view"), obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return people.holds(request, self.permission("add"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.holds(request, self.permission("change"), obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.holds(request, self.permission("delete"), obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows of the clinics where the person may look at this kind of row."""
        rows = super().get_queryset(request)
        allowed = people.allowed_clinics(request, self.permission("view"))
        if allowed is None or allowed == people.roles(request).keys():
            return rows
        return rows.filter(**{f"{self.clinic_column}__in": allowed})

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """What is masked for the person is not searched in parts (see ``searching``)."""
        whole = people.allowed_clinics(request, self.shows_whole)
        if (
            not self.masked_fields
            or not search_term
            or whole is None
            or whole == people.roles(request).keys()
        ):
            return super().get_search_results(request, queryset, search_term)
        fields = self.get_search_fields(request)
        found = within_sight(search_term, fields, self.masked_fields, (self.clinic_column, whole))
        return queryset.filter(found), False

    def get_actions(self, request: HttpRequest) -> Any:
        """Without those that the person may do at none of their clinics."""
        actions: dict[str, Any] = super().get_actions(request)
        needs = {name: getattr(action[0], "needs", "") for name, action in actions.items()}
        held = {name for name, needed in needs.items() if not needed or people.holds(request, needed)}
        return {name: action for name, action in actions.items() if name in held}

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """The acts offered on this row's page: those the person may do at its clinic, and that fit its state."""
        row = self.get_object(request, str(object_id))
        if row is None:
            return []
        offered = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        return [
            act
            for act in offered
            if people.holds(request, act.method.needs, row) and self.fits(act.method.__name__, row)
        ]

    def fits(self, act: str, row: Any) -> bool:
        """Whether ``act`` makes sense for the row as it stands."""
        return True

    def row(self, request: HttpRequest, object_id: str, *, lock: bool = False) -> Any:
        """The row of this id, among those the person may see. Raises Http404."""
        rows = self.get_queryset(request)
        if lock:
            rows = rows.select_for_update(of=("self",))
        try:
            return rows.get(pk=unquote(object_id))
        except (self.model.DoesNotExist, ValidationError, ValueError) as error:
            raise Http404("There is no such row at your clinics.") from error

    # --- Forms -----------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if issubclass(form, ClinicForm):
            form.clinics = self.clinics_to_add_in(request)
        return form

    def clinics_to_add_in(self, request: HttpRequest) -> QuerySet[Organization]:
        allowed = people.allowed_clinics(request, self.permission("add"))
        return Organization.objects.filter(Q() if allowed is None else Q(pk__in=allowed), active=True)

    def asks_for_clinic(self, request: HttpRequest) -> bool:
        """Whether a new row's clinic must be named: the person may add at more than one."""
        allowed = people.allowed_clinics(request, self.permission("add"))
        return allowed is None or len(allowed) != 1

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        """The page's fieldsets, the clinic left out."""
        return super().get_fieldsets(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The clinic is asked for or shown first, where there is more than one it could be."""
        fieldsets = [(name, dict(options)) for name, options in self.sections(request, obj)]
        if not self._has_org() or not fieldsets:
            return fieldsets
        for _, options in fieldsets:
            options["fields"] = [field for field in options["fields"] if field != "org"]
        if people.sole_clinic(request) is None and (obj is not None or self.asks_for_clinic(request)):
            fieldsets[0][1]["fields"] = ["org", *fieldsets[0][1]["fields"]]
        return fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = list(super().get_readonly_fields(request, obj))
        return [*fixed, "org"] if obj is not None and self._has_org() and "org" not in fixed else fixed

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        excluded = list(super().get_exclude(request, obj) or ())
        if self._has_org() and obj is None and not self.asks_for_clinic(request):
            excluded.append("org")
        return excluded or None

    def _has_org(self) -> bool:
        return any(field.name == "org" for field in self.opts.fields)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Which clinic a row is of is told to those who see several."""
        columns = list(super().get_list_display(request))
        return [*columns, "org"] if self._has_org() and people.sole_clinic(request) is None else columns

    # --- Saving ----------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Writes what the form changed and nothing else: a worker may be moving the row meanwhile."""
        if not change:
            if not people.holds(request, self.permission("add"), obj):
                raise PermissionDenied
            obj.save(force_insert=True)
            return
        columns = {field.name for field in self.opts.concrete_fields}
        stamps = {field.name for field in self.opts.concrete_fields if getattr(field, "auto_now", False)}
        changed = (set(form.changed_data) & columns) | set(getattr(form, "derived", ()))
        if changed:
            obj.save(update_fields=sorted(changed | stamps))

    # --- The audit trail -------------------------------------------------------------------------

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        audit.record_change(request, obj, "add", message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        audit.record_change(request, obj, "change", message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:  # type: ignore[override]
        for row in queryset:
            audit.record_change(request, row, "delete")

    @on_the_clinics_clock
    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What was done to the row, from the clinic's own audit trail."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return, attr-defined]
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": f"History: {row}",
            "acts": list(audit.acts_on(row)[:MOST_HISTORY]),
            "object": row,
            "opts": self.opts,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "staff/history.html", context)

    # --- Views, on the clinic's clock --------------------------------------------------------------

    @on_the_clinics_clock
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, extra_context)

    @on_the_clinics_clock
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, extra_context)

    @on_the_clinics_clock
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return super().change_view(request, object_id, form_url, extra_context)

    @on_the_clinics_clock
    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return super().delete_view(request, object_id, extra_context)


class ReadOnly:
    """Rows that the system writes: they can be looked at, and no person edits them."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OperatorOnly:
    """Rows that belong to no clinic: for platform operators alone."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return people.is_operator(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.is_operator(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.is_operator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.is_operator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return people.is_operator(request)


class OfTheParentFormSet(ThemedFormSet):
    """Rows entered beside another take its clinic before anything about them is checked."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        # The heading of a column labels nothing to those who do not see it.
        for field in form.fields.values():
            widget = getattr(field.widget, "widget", field.widget)
            widget.attrs.setdefault("aria-label", str(field.label or ""))

    def full_clean(self) -> None:
        # Not sooner: the parent has its clinic only once its own form was checked.
        for form in self.forms:
            form.instance.org_id = self.instance.org_id
        super().full_clean()


class OfTheParent:
    """An inline whose rows belong to the clinic of the row they are entered beside."""

    model: type[Model]
    form: Any = ClinicForm
    formset: Any = OfTheParentFormSet
    extra = 0
    hide_title = True
    exclude: ClassVar[Any] = ("org",)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._holds(request, "view", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._holds(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._holds(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._holds(request, "delete", obj)

    def _holds(self, request: HttpRequest, verb: str, parent: Any) -> bool:
        options = self.model._meta
        return people.holds(request, f"{options.app_label}.{verb}_{options.model_name}", parent)

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        org_id = getattr(request, "staff_parent_org", None)
        if field is not None and org_id is not None and hasattr(db_field.related_model, "org_id"):
            field.queryset = field.queryset.filter(org_id=org_id)
        return field

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        request.staff_parent_org = getattr(obj, "org_id", None)  # type: ignore[attr-defined]
        return super().get_formset(request, obj, **kwargs)  # type: ignore[misc]


class ClinicTabular(OfTheParent, ThemedTabularInline):
    """Rows side by side in a table."""


class ClinicStacked(OfTheParent, ThemedStackedInline):
    """Rows one below the other."""


class ReadOnlyTabular(ReadOnly, ClinicTabular):
    """Rows that the system wrote, in a table."""

    can_delete = False
    show_change_link = False


class ReadOnlyStacked(ReadOnly, ClinicStacked):
    """Rows that the system wrote, one below the other."""

    can_delete = False
