"""The words of the European authority tables that DCAT-AP asks for, and which of ours they stand for."""

from dataclasses import dataclass
from typing import Final

_AUTHORITY = "http://publications.europa.eu/resource/authority"


@dataclass(frozen=True, slots=True)
class Authority:
    """A concept of an authority table with the type that DCAT-AP gives it, and its English label."""

    iri: str
    type: str
    label: str


def _table(name: str, type_: str, rows: dict[str, tuple[str, str]]) -> dict[str, Authority]:
    return {
        key: Authority(f"{_AUTHORITY}/{name}/{code}", type_, words) for key, (code, words) in rows.items()
    }


FREQUENCIES: Final = _table(
    "frequency",
    "dct:Frequency",
    {
        "realtime": ("UPDATE_CONT", "continuously updated"),
        "daily": ("DAILY", "daily"),
        "weekly": ("WEEKLY", "weekly"),
        "monthly": ("MONTHLY", "monthly"),
        "quarterly": ("QUARTERLY", "quarterly"),
        "half_yearly": ("ANNUAL_2", "semiannual"),
        "yearly": ("ANNUAL", "annual"),
        "other": ("OTHER", "other"),
        "": ("UNKNOWN", "unknown"),
    },
)
ACCESS: Final = _table(
    "access-right",
    "dct:RightsStatement",
    {
        "public": ("PUBLIC", "public"),
        "restricted": ("RESTRICTED", "restricted"),
        "non_public": ("NON_PUBLIC", "non-public"),
    },
)
LANGUAGES: Final = _table(
    "language",
    "dct:LinguisticSystem",
    {"zh": ("ZHO", "Chinese"), "en": ("ENG", "English")},
)
# The subjects (项) of our classification under the themes of European catalogues.
THEMES: Final = _table(
    "data-theme",
    "skos:Concept",
    {
        "101": ("SOCI", "Population and society"),
        "102": ("ECON", "Economy and finance"),
        "103": ("REGI", "Regions and cities"),
        "104": ("GOVE", "Government and public sector"),
        "105": ("GOVE", "Government and public sector"),
        "201": ("GOVE", "Government and public sector"),
        "202": ("HEAL", "Health"),
        "203": ("SOCI", "Population and society"),
        "204": ("AGRI", "Agriculture, fisheries, forestry and food"),
        "205": ("JUST", "Justice, legal system and public safety"),
        "206": ("ECON", "Economy and finance"),
        "207": ("ENER", "Energy"),
        "208": ("ECON", "Economy and finance"),
        "209": ("REGI", "Regions and cities"),
        "210": ("SOCI", "Population and society"),
        "211": ("ENVI", "Environment"),
        "212": ("JUST", "Justice, legal system and public safety"),
        "301": ("GOVE", "Government and public sector"),
    },
)
_FILE_TYPES: Final = _table(
    "file-type",
    "dct:MediaTypeOrExtent",
    {
        name: (code, name.upper())
        for name, code in {
            "xml": "XML", "txt": "TXT", "doc": "DOC", "docx": "DOCX", "html": "HTML", "pdf": "PDF",
            "ppt": "PPT", "xls": "XLS", "xlsx": "XLSX", "csv": "CSV", "dbf": "DBF", "jpg": "JPEG",
            "gif": "GIF", "bmp": "BMP", "png": "PNG", "mp4": "MP4", "json": "JSON",
        }.items()
    },
)  # fmt: skip


def frequency(cycle: str) -> Authority:
    """The frequency for an update cycle; one we don't know is unknown."""
    return FREQUENCIES.get(cycle, FREQUENCIES[""])


def access_right(openness: int | None, *, open_to_public: bool) -> Authority:
    """Who may get at an entry's data.

    Public is only what its department has opened; what is shared among departments is restricted, with
    everyone or on conditions; what is not shared at all is not public.
    """
    if open_to_public:
        return ACCESS["public"]
    return ACCESS["non_public" if openness == 0 else "restricted"]


def file_type(detail: str) -> Authority | None:
    """The file type for a format's detail, where the table has one."""
    return _FILE_TYPES.get(detail.strip().lower())
