"""Django's entry for this capability."""

from django.apps import AppConfig


class InterfacesConfig(AppConfig):
    """Registers the models of `interfaces`."""

    name = "shuqiao.control.interfaces"
    label = "interfaces"
    default_auto_field = "django.db.models.BigAutoField"
