"""Django's entry for this capability."""

from django.apps import AppConfig


class GrantsConfig(AppConfig):
    """Registers the models of `grants`."""

    name = "shuqiao.control.grants"
    label = "grants"
    default_auto_field = "django.db.models.BigAutoField"
