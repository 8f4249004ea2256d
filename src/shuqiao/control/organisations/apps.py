"""Django's entry for this capability."""

from django.apps import AppConfig


class OrganisationsConfig(AppConfig):
    """Registers the models of `organisations`."""

    name = "shuqiao.control.organisations"
    label = "organisations"
    default_auto_field = "django.db.models.BigAutoField"
