"""Django's entry for this capability."""

from django.apps import AppConfig


class CompilingConfig(AppConfig):
    """Registers the models of `compiling`."""

    name = "shuqiao.control.compiling"
    label = "compiling"
    default_auto_field = "django.db.models.BigAutoField"
