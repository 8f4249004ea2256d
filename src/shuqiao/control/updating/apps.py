"""Django's entry for this capability."""

from django.apps import AppConfig


class UpdatingConfig(AppConfig):
    """Registers the models of `updating`."""

    name = "shuqiao.control.updating"
    label = "updating"
    default_auto_field = "django.db.models.BigAutoField"
