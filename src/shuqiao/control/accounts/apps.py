"""Django's entry for this capability."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registers the models of `accounts`."""

    name = "shuqiao.control.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
