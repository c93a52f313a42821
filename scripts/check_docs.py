"""Open every page of the built documentation in headless Chromium.

    python scripts/check_docs.py build/html build/screenshots

The exit code is 1 if a link within the site is dead, a page loads something from another site, or
the browser logs an error. Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from bs4 import BeautifulSoup
from selenium import webdriver

SCREENSHOTS = {
    "front": "index.html",
    "guide": "guide/own_photos.html",
    "gallery": "gallery/plot_quickstart.html",
    "api": "api/generated/skfer.FaceCropper.html",
    "benchmarks": "benchmarks/plot_accuracy.html",
}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files without a log."""

    def log_message(self, *args: object) -> None:
        """Do not log requests."""


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve the folder on the loopback interface; yield the address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@contextmanager
def chromium(*arguments: str) -> Iterator[webdriver.Chrome]:
    """Yield a browser without a window, started with these arguments."""
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        sys.exit("No Chromium: apt-get install -y chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for argument in ("--headless=new", "--no-sandbox", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    try:
        yield browser
    finally:
        browser.quit()


@functools.cache
def parse_page(page: Path) -> BeautifulSoup:
    """Parse a page once."""
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@functools.cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page."""
    return {tag["id"] for tag in parse_page(page).find_all(id=True)} | {""}


def dead_links(page: Path, site: Path) -> Iterator[str]:
    """Yield dead links, resources of other sites, and paths of the machine that built the page."""
    if "site-packages" in parse_page(page).get_text():
        yield "shows a path of the machine that built it"
    for tag in parse_page(page).find_all(["a", "link", "script", "img", "source", "iframe"]):
        target = tag.get("href") or tag.get("src")
        if target is None or target.startswith(("data:", "mailto:", "javascript:")):
            continue
        if urlsplit(target).netloc:
            if tag.name != "a" and tag.get("rel") != ["canonical"]:
                yield f"loads {target} from another site"
            continue
        address, anchor = urldefrag(urljoin(page.as_uri(), target))
        path = Path(unquote(urlsplit(address).path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_relative_to(site) or not path.exists():
            yield f"links to {target}, which does not exist"
        elif path.suffix == ".html" and unquote(anchor) not in anchors(path):
            yield f"links to {target}, but that page has no such anchor"


def console_errors(browser: webdriver.Chrome, address: str) -> Iterator[str]:
    """Yield errors and warnings in the browser's console."""
    browser.get(address)
    for line in browser.get_log("browser"):
        if line["level"] in ("SEVERE", "WARNING"):
            yield f"console: {line['message']}"


def main() -> None:
    """Check every page, then take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("screenshots", type=Path)
    arguments = parser.parse_args()
    site = arguments.site.resolve()
    arguments.screenshots.mkdir(parents=True, exist_ok=True)

    pages = sorted(page for page in site.rglob("*.html") if "_static" not in page.parts)
    n_problems = 0
    with serve_folder(site) as root, chromium("--window-size=1280,1000") as browser:
        for page in pages:
            name = page.relative_to(site).as_posix()
            for problem in [*dead_links(page, site), *console_errors(browser, root + name)]:
                print(f"{name}: {problem}")
                n_problems += 1
        for name, page in SCREENSHOTS.items():
            browser.get(root + page)
            browser.save_screenshot(str(arguments.screenshots / f"{name}.png"))
    print(f"{len(pages)} pages opened, {n_problems} problems")
    sys.exit(n_problems > 0)


if __name__ == "__main__":
    main()
