"""Django's entry for this capability."""

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    """Registers the models of `projects`."""

    name = "shuqiao.control.projects"
    label = "projects"
    default_auto_field = "django.db.models.BigAutoField"
