"""Django's entry for this capability."""

from django.apps import AppConfig


class RequestsConfig(AppConfig):
    """Registers the models of `requests`, and what a dispute about a request does to it."""

    name = "shuqiao.control.requests"
    label = "requests"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Own the disputes about requests."""
        from shuqiao.control.disputes import hooks
        from shuqiao.control.requests import granting, settling

        hooks.register(
            "request", settle=settling.settle, is_provided=granting.is_provided, lock=settling.lock
        )
