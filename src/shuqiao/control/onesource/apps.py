"""Django's entry for this capability."""

from django.apps import AppConfig


class OnesourceConfig(AppConfig):
    """Registers the models of `onesource`."""

    name = "shuqiao.control.onesource"
    label = "onesource"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Own the disputes about the source of a datum, and let the two sides read its papers."""
        from shuqiao.control.disputes import hooks
        from shuqiao.control.documents import access as documents
        from shuqiao.control.onesource import access, answers

        hooks.register(
            answers.CASE, settle=answers.settle, is_provided=answers.is_provided, lock=answers.lock
        )
        documents.register("claim", may_see=access.sees_claim)
