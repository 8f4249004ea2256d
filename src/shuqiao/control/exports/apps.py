"""Django's entry for this capability."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    """Registers the models of `exports`."""

    name = "shuqiao.control.exports"
    label = "exports"
    default_auto_field = "django.db.models.BigAutoField"
