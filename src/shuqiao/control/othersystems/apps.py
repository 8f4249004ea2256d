"""Django's entry for this capability."""

from django.apps import AppConfig


class OtherSystemsConfig(AppConfig):
    """Registers the models of `othersystems`."""

    name = "shuqiao.control.othersystems"
    label = "othersystems"
    default_auto_field = "django.db.models.BigAutoField"
