"""Django's entry for this capability."""

from django.apps import AppConfig


class EnrolmentsConfig(AppConfig):
    """Registers the models of `enrolments`."""

    name = "shuqiao.control.enrolments"
    label = "enrolments"
    default_auto_field = "django.db.models.BigAutoField"
