"""Django's entry for this capability."""

from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    """Has no models: what it shows stands in the contract schema."""

    name = "shuqiao.control.exchange"
    label = "exchange"
