"""Django's entry for this capability."""

from django.apps import AppConfig


class StandardsConfig(AppConfig):
    """Registers the models of `standards`."""

    name = "shuqiao.control.standards"
    label = "standards"
    default_auto_field = "django.db.models.BigAutoField"
