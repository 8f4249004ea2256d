"""Sample cases beside requests and disputes: a demand outside the catalogue, a project being prepared, an
application of several departments. All are invented and say so.

They concern no reviewer of the story that the tutorial tells.
"""

from datetime import datetime, timedelta

from shuqiao.control import clock
from shuqiao.control.accounts.access import Viewer
from shuqiao.control.organisations.models import Application, Duty
from shuqiao.control.outside.actions import record_talk, submit_outside
from shuqiao.control.outside.inputs import OutsideInput
from shuqiao.control.outside.models import OutsideRequest
from shuqiao.control.projects.actions import add_line, save_project
from shuqiao.control.projects.inputs import ApplicationInput, LineInput, ProjectInput
from shuqiao.control.projects.models import CrossApplication, Project
from shuqiao.control.projects.register import register_application
from shuqiao.rules.ids import department_code, resource_id
from shuqiao.rules.regulation import Regulation

PROJECT_DAYS = 120


def seed_demand(regulation: Regulation, asking: Viewer, holder: Viewer, on: datetime) -> None:
    """Ask the civil-affairs department for what no entry offers, with one talk about it."""
    if OutsideRequest.objects.exists():
        return
    with clock.fixed(on):
        number = submit_outside(
            asking,
            OutsideInput(
                holder=department_code(regulation.region, "civil-affairs"),
                wanted="孤儿和事实无人抚养儿童名单的变动情况，按学期（示例）",
                duty=_first_duty(asking),
                purpose="核对学生资助对象",
            ),
        )
    with clock.fixed(on + timedelta(days=1)):
        record_talk(holder, number, "电话沟通：可按学期提供增减情况，字段待双方确认（示例）。")


def seed_project(regulation: Regulation, lead: Viewer) -> None:
    """Prepare a project of the civil-affairs department; it has not started."""
    if Project.objects.exists():
        return
    today = clock.today()
    number = save_project(
        lead,
        ProjectInput(
            title="困难群众救助对象集中核查（示例）",
            purpose="年度救助对象资格复核",
            duty=_first_duty(lead),
            valid_from=today,
            valid_until=today + timedelta(days=PROJECT_DAYS),
            participants=(department_code(regulation.region, "disabled-federation"),),
        ),
    )
    entry = resource_id(regulation.region, "household_registration")
    add_line(
        lead,
        number,
        LineInput(lead.department.code, entry, "verify", ("household_status",), "核对户籍状态"),
    )


def seed_application(regulation: Regulation, lead: Viewer) -> None:
    """Register an application that several departments work in."""
    if CrossApplication.objects.exists():
        return
    systems = Application.objects.filter(department_id=lead.department.code, portal=False, active=True)
    register_application(
        lead,
        ApplicationInput(
            name_zh="社会救助联审（示例）",
            name_en="Joint assessment of social relief (sample)",
            scope="city",
            purpose="多部门联合审核社会救助申请",
            departments=tuple(
                department_code(regulation.region, word) for word in ("police", "disabled-federation")
            ),
            systems=tuple(systems.order_by("id").values_list("id", flat=True)),
        ),
    )


def _first_duty(viewer: Viewer) -> int:
    return Duty.objects.filter(department_id=viewer.department.code).order_by("number")[0].pk
