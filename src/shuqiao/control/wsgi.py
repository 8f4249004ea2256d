"""The WSGI application that granian serves."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shuqiao.control.settings")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from shuqiao.control.config import ConfigError

if not settings.CONFIG.configured:
    raise ConfigError(("SHUQIAO_DATABASE_URL is not set",))

application = get_wsgi_application()

from shuqiao.control.regulations.current import load_whole, named  # noqa: E402 - models need the applications above

# A rules file that can't be used stops the process at its start, with file, line and reason.
load_whole(settings.CONFIG.regulation)
for district in settings.CONFIG.districts.values():
    named(district)
