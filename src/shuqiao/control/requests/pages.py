"""Everything the pages of requests are filled with, in one place for their views."""

from shuqiao.control.requests.case import request_case
from shuqiao.control.requests.forms import request_form
from shuqiao.control.requests.lists import inbox, my_requests

__all__ = ["inbox", "my_requests", "request_case", "request_form"]
