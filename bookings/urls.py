from __future__ import annotations

from django.urls import URLPattern, path

from bookings.patient_page import views as patient_page

urlpatterns: list[URLPattern] = [
    path("a/<str:token>.ics", patient_page.calendar, name="patient-calendar"),
    path("a/<str:token>", patient_page.page, name="patient-page"),
]
