"""In the sample city one entry is served by files, to try that way. All of it is invented and says so."""

from django.conf import settings
from django.db import connection

from shuqiao.control.accounts.access import Viewer
from shuqiao.control.catalogue.models import Resource
from shuqiao.control.documents.actions import FileInput
from shuqiao.control.files.actions import register_file

FILE_NAME = "殡葬服务机构名录（示例）.csv"
TITLE = "殡葬服务机构名录 2026（示例）"
ENTRY = "殡葬服务机构名录（示例）"
ROWS = (
    "殡葬服务许可编号,殡葬服务项目,殡葬服务开放时间",
    "示例-0001,遗体接运、火化、骨灰寄存,每日 7:00-17:00",
    "示例-0002,骨灰安葬、祭扫,每日 8:00-16:30",
    "示例-0003,守灵、告别厅租用,每日 24 小时",
)


def register_sample_files(provider: Viewer) -> None:
    """Register the sample file of the entry whose department this is; a second call changes nothing.

    Without a place for files, or where the regulation in force has not published the entry, there is none.
    """
    own = Resource.objects.filter(department_id=provider.department.code, state="published")
    resource = own.filter(name_zh=ENTRY).first()
    if resource is None or settings.CONFIG.files_secret_file is None:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM exchange.file WHERE resource_id = %s)", [resource.id])
        if cursor.fetchone()[0]:
            return
    content = "\r\n".join(("本表为虚构示例", *ROWS)).encode("utf-8-sig")
    register_file(provider, resource.id, TITLE, FileInput(FILE_NAME, content))
