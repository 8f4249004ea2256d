"""What a dispute about a request does to it: registered with `disputes.hooks`.

Source: guangzhou-2016 art. 35; xiamen-2015 art. 12(2); shenyang-2016 art. 20.
"""

from shuqiao.control import clock
from shuqiao.control.accounts.access import NotFound
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.requests.models import DECIDED_PHASES, Request, RequestItem
from shuqiao.control.requests.steps import Step, add_event, decision, system_facts, take
from shuqiao.rules.procedures import Refusal

SETTLE_NO = "settle_no"


def lock(number: str) -> None:
    """Lock a request before its dispute is locked, so that both are always taken in the same order."""
    if Request.objects.select_for_update().filter(number=number).first() is None:
        raise NotFound


def settle(number: str, shared: bool, dispute: str) -> None:
    """Do what a dispute has decided, in the transaction of its decision.

    Where it must be shared the provider still answers with what it gives; otherwise the request ends.
    """
    request = Request.objects.select_for_update().filter(number=number).first()
    if request is None or request.phase in DECIDED_PHASES:
        # Answered by agreement while the dispute was still open.
        return
    if shared:
        _must_share(request, dispute)
        return
    given = decision(request, SETTLE_NO, system_facts(request), frozenset())
    if isinstance(given, Refusal):
        return
    words = f"争议 {dispute} 终结，不予共享"
    RequestItem.objects.filter(request=request).exclude(granted=True).filter(refusal_reason="").update(
        granted=False, refusal_reason=words
    )
    take(request, Step(SETTLE_NO, given, None, clock.today(), params={"dispute": dispute}))
    _tell(request, "request_settled", dispute)


def _must_share(request: Request, dispute: str) -> None:
    Request.objects.filter(pk=request.pk).update(must_share=dispute)
    add_event(request, "must_share", None, params={"dispute": dispute})
    _tell(request, "request_must_share", dispute)


def _tell(request: Request, code: str, dispute: str) -> None:
    sides = (
        (request.requester_id, Capability.REQUEST_SUBMIT),
        (request.provider_id, Capability.REQUEST_ANSWER),
    )
    for department, capability in sides:
        notify(
            department,
            code,
            request.number or "",
            capability=capability,
            occasion=dispute,
            params={"dispute": dispute},
        )
