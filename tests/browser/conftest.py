"""A real Chromium on the pages of a real city."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.plugins.city import City

AXE = Path("src/shuqiao/control/web/static/vendor/axe-core/axe.min.js")
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

    def sideways(self) -> int:
        """By how many pixels the page scrolls sideways."""
        root = "document.documentElement"
        return int(self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    def policy_faults(self) -> list[str]:
        """What the content policy has refused on this page."""
        return list(self.page.evaluate("window.policyFaults"))

    def axe(self) -> list[str]:
        """What axe-core finds wrong, one line each."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
        )
        return [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found]

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
        self, username: str = "", *, width: int = 1440, theme: str = "light", scripts: bool = True
    ) -> Visitor:
        """A new visitor, signed in where a name is given."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            locale="zh-CN",
            color_scheme=theme,
            java_script_enabled=scripts,
            # axe is brought in by the test, not by the page; pages are watched with the policy in force.
            bypass_csp=False,
        )
        context.set_default_timeout(15_000)
        self.open.append(context)
        context.add_init_script(WATCH_POLICY)
        made = Visitor(context.new_page(), self.city.url)
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
