"""What a reader sees of records that are browsed online."""

from shuqiao.control.deliveries.browsing import BrowseColumn, _records
from shuqiao.control.texts import Text

SEX = BrowseColumn("sex", Text("性别", "Sex"), "code", True, (("1", "男"), ("2", "女")), "", "", "")
NAME = BrowseColumn("name", Text("姓名", "Name"), "string", False, (), "", "", "")


def test_codes_are_shown_by_their_meaning_and_all_else_as_it_is() -> None:
    given = [["2", "样例甲"], ["1", None], ["9", "2"], [None, "1"]]
    assert _records((SEX, NAME), given) == (("女", "样例甲"), ("男", None), ("9", "2"), (None, "1"))
