"""Telling the competent department that a regulation ends, so that it is evaluated and revised in time."""

from shuqiao.control import clock
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.organisations.bodies import COMPETENT, bodies_with
from shuqiao.control.regulations.current import regulation
from shuqiao.rules.validity import Standing, standing_on

CODES = {Standing.ENDING: "regulation_ending", Standing.ENDED: "regulation_ended"}


def warn_of_expiry() -> int:
    """Tell once that the regulation in force will end, and once that it has ended; how many were told now.

    Source: guangzhou-2016 art. 50.
    """
    rules = regulation()
    until = rules.validity.valid_until
    code = CODES.get(standing_on(rules.validity, clock.today()).standing)
    if code is None or until is None:
        return 0
    params = {"title_zh": rules.title.zh, "title_en": rules.title.en, "until": until.isoformat()}
    return sum(
        notify(
            department,
            code,
            rules.id,
            capability=Capability.RULES_COMPARE,
            occasion=until.isoformat(),
            params=params,
        )
        for department in bodies_with(COMPETENT)
    )
