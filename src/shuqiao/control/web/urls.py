"""Addresses of the pages; their names are stable."""

from django.urls import path
from django.views.i18n import set_language

from shuqiao.control.web.views import (
    account,
    audit,
    calendar,
    catalogue,
    grants,
    regulations,
    request_form,
    requests,
    style_guide,
    verification,
    workbench,
)

urlpatterns = [
    path("", workbench.workbench, name="workbench"),
    path("notices/read", workbench.read_notices, name="notices_read"),
    path("sign-in/", account.sign_in_page, name="sign_in"),
    path("sign-out/", account.sign_out, name="sign_out"),
    path("language/", set_language, name="set_language"),
    path("catalogue/", catalogue.catalogue, name="catalogue"),
    path("catalogue/suggest", catalogue.suggestions, name="suggest"),
    path("catalogue/<str:resource>/", catalogue.entry, name="entry"),
    path("requests/", requests.my_requests, name="my_requests"),
    path("requests/inbox/", requests.inbox, name="inbox"),
    path("requests/new/", request_form.request_new, name="request_new"),
    path("requests/<str:number>/", requests.request_case, name="request_case"),
    path("requests/<str:number>/answer", requests.request_answer, name="request_answer"),
    path("requests/<str:number>/withdraw", requests.request_withdraw, name="request_withdraw"),
    path("requests/<str:number>/dispute", requests.request_dispute, name="request_dispute"),
    path("grants/", grants.grants, name="grants"),
    path("grants/<str:number>/", grants.grant, name="grant"),
    path("grants/<str:number>/revoke", grants.grant_revoke, name="grant_revoke"),
    path("verify/", verification.start, name="verify_start"),
    path("verify/<str:grant>/", verification.verify, name="verify"),
    path("audit/", audit.audit, name="audit"),
    path("audit/<uuid:entry>/", audit.audit_entry, name="audit_entry"),
    path("audit/<uuid:entry>/evidence.json", audit.evidence, name="audit_evidence"),
    path("calendar/", calendar.this_year, name="calendar"),
    path("calendar/<int:year>/", calendar.year, name="calendar_year"),
    path("calendar/<int:year>/day", calendar.day, name="calendar_day"),
    path("calendar/<int:year>/open", calendar.year_opened, name="calendar_open"),
    path("calendar/<int:year>/announce", calendar.year_announced, name="calendar_announce"),
    path("regulations/<str:regulation>/", regulations.regulation_page, name="regulation"),
    path("regulations/<str:regulation>/articles/<str:article>", regulations.article, name="article"),
    path("style-guide/", style_guide.style_guide, name="style_guide"),
]
