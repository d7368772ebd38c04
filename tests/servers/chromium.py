"""A headless Chromium that a test drives as a person would."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

BROWSER, DRIVER = "chromium", "chromedriver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the sandbox refuses root, which a build machine often is
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    # the browser itself asks nobody for anything: the pages must work without a network
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed() -> bool:
    """Say whether browser and driver are there."""
    return bool(shutil.which(BROWSER) and shutil.which(DRIVER))


def open_browser(profile: Path, *, width: int = 1280, height: int = 900) -> webdriver.Chrome:
    """Start a browser with an empty profile in `profile`; its console log is kept for `get_log("browser")`."""
    options = Options()
    options.binary_location = shutil.which(BROWSER) or BROWSER
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which(DRIVER)))
    driver.set_page_load_timeout(30)
    driver.set_script_timeout(30)
    return driver
