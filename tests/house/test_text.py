"""The project speaks of itself alone: no file names somebody's machine, an index's host, or work put off."""

from __future__ import annotations

import re

# Written in pieces, so that this file does not find itself.
HOSTS = ("py" + "pi.org", "python" + "hosted", "npm" + "js.", "deb." + "debian.org", "unp" + "kg.com", "js" + "delivr")
PATHS = ("/ro" + "ot/", "/ho" + "me/", "/wo" + "rk/", "/Us" + "ers/", "/opt/py" + "pi")
WORDS = ("TO" + "DO", "FIX" + "ME")
FORBIDDEN = re.compile("|".join([*map(re.escape, HOSTS + PATHS), *(rf"\b{w}\b" for w in WORDS)]))


def test_no_file_names_a_machine_a_registry_host_or_work_put_off(project_files, repository):
    found = []
    for file in project_files:
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue  # a picture or a golden file
        for number, line in enumerate(text.splitlines(), 1):
            if match := FORBIDDEN.search(line):
                found.append(f"{file.relative_to(repository)}:{number}: {match.group()}")
    assert found == []
