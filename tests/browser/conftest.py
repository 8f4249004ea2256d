"""A real Chromium on the pages of a real city."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.plugins.city import City

AXE = Path("src/shuqiao/control/web/static/vendor/axe-core/axe.min.js")
LOOKS = Path(__file__).with_name("looks.js")
PATIENCE_MS = 60_000
WIDTHS = (1440, 390)
THEMES = {"light": None, "dark": ["color-contrast", "link-in-text-block"]}
"""The rules that are looked at in each theme: a theme changes nothing but colours."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=zh-CN",
]
# The first has no window to draw and takes a third less processor time for the same pages.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
INSTALL = f"apt-get install -y {BROWSERS[0]} fonts-noto-cjk"
# What a page reports about its own policy; collected before anything of the page runs.
WATCH_POLICY = """
window.policyFaults = [];
addEventListener('securitypolicyviolation', (event) => {
  window.policyFaults.push(event.violatedDirective + ' ' + (event.blockedURI || event.sourceFile));
});
"""


def chromium() -> str:
    """Path of the browser; where there is none the test says how to get it."""
    found = os.environ.get("SHUQIAO_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"no Chromium on this machine; as root run: {INSTALL}")
    return found


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the run."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@dataclass
class Visitor:
    """A person at a browser: collects what went wrong on the pages they see."""

    page: Page
    url: str
    widths: tuple[int, ...] = WIDTHS
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def see(self, path: str) -> None:
        """Open a page of the city."""
        self.page.goto(self.url + path)

    def sign_in(self, username: str, password: str) -> None:
        """Sign in as an account."""
        self.see("/sign-in/")
        self.page.fill("#username", username)
        self.page.fill("#password", password)
        self.page.click("button.submit")
        self.page.wait_for_url(f"{self.url}/")

    def in_each_width(self) -> Iterator[int]:
        """Give the page each of the widths in turn, and in the end the one it had."""
        former = self.page.viewport_size
        assert former is not None
        for width in self.widths:
            self.page.set_viewport_size({"width": width, "height": former["height"]})
            yield width
        self.page.set_viewport_size(former)

    def sideways(self) -> int:
        """By how many pixels the page scrolls sideways, at the width where it scrolls most."""
        root = "document.documentElement"
        there = f"{root}.scrollWidth - {root}.clientWidth"
        return max(int(self.page.evaluate(there)) for _ in self.in_each_width())

    def policy_faults(self) -> list[str]:
        """What the content policy has refused on this page."""
        return list(self.page.evaluate("window.policyFaults"))

    def axe(self) -> list[str]:
        """What axe-core finds wrong on the page as it stands, at each width and in each theme."""
        if not self.page.evaluate("typeof lookAt === 'function'"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
            self.page.evaluate(LOOKS.read_text(encoding="utf-8"))
        found = []
        for width in self.in_each_width():
            for theme, rules in THEMES.items():
                faults = self.page.evaluate("([theme, rules]) => lookAt(theme, rules)", [theme, rules])
                seen = f"{theme} {width}"
                found += [f"{seen}: {v['id']}: {v['nodes'][0]['html'][:160]}" for v in faults]
        return found

    def note_request(self, request: Request) -> None:
        """Keep requests that leave the city."""
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.foreign.append(request.url)

    def note_console(self, message: ConsoleMessage) -> None:
        """Keep errors the browser reports."""
        if message.type == "error":
            self.errors.append(message.text)


@dataclass
class Visits:
    """Makes visitors and closes their browsers' contexts."""

    browser: Browser
    city: City
    open: list[BrowserContext] = field(default_factory=list)

    def visitor(
        self, username: str = "", *, width: int = 0, theme: str = "light", scripts: bool = True
    ) -> Visitor:
        """A new visitor, signed in where a name is given; looks at pages at `width`, or at every width."""
        context = self.browser.new_context(
            viewport={"width": width or WIDTHS[0], "height": 900},
            locale="zh-CN",
            color_scheme=theme,
            java_script_enabled=scripts,
            # axe is brought in by the test, not by the page; pages are watched with the policy in force.
            bypass_csp=False,
        )
        context.set_default_timeout(PATIENCE_MS)
        self.open.append(context)
        context.add_init_script(WATCH_POLICY)
        made = Visitor(context.new_page(), self.city.url, (width,) if width else WIDTHS)
        made.page.on("request", made.note_request)
        made.page.on("console", made.note_console)
        if username:
            made.sign_in(username, self.city.password(username))
        return made


@pytest.fixture
def visits(browser: Browser, city: City) -> Iterator[Visits]:
    """Visitors of this test."""
    made = Visits(browser, city)
    yield made
    for context in made.open:
        context.close()
