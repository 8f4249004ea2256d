"""Django's entry for this capability."""

from django.apps import AppConfig


class OutsideConfig(AppConfig):
    """Registers the models of `outside`, and what a dispute about one of its cases does to it."""

    name = "shuqiao.control.outside"
    label = "outside"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Own the disputes about information outside the catalogue."""
        from shuqiao.control.disputes import hooks
        from shuqiao.control.outside import disputed

        hooks.register(
            "outside",
            settle=disputed.settle,
            is_provided=disputed.is_provided,
            lock=disputed.lock,
        )
