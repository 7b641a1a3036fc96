"""Write the parts of the documentation that the code declares: `make docs`.

docs/settings.md and the tables in docs/security.md come from the settings' declarations, docs/metrics.md
from a running server, and the list in docs/conform.md from the checks. In docs/measuring.md and
docs/reliability.md, each link to a test gets the file that has the test now.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from rtdemo.lab.conform import clauses
from rtdemo.lab.conform.checks import CHECKS
from rtdemo.settings.settings import SETTINGS, as_text, reference
from rtdemo.testing import serve

_SETTINGS_OF_SUBJECT = re.compile(
    r"(<!-- settings: (\w+) -->\n).*?(<!-- end of settings -->)", re.DOTALL
)
DOCS = Path(__file__).parent
ROOT = DOCS.parent
SUBJECTS = {
    "access": re.compile(
        r"_token$|^(host|secret|jwks|audience|require_login|trusted_proxies|allow_\w+|public_\w+|tls_\w+"
        r"|production|lab|probes)$"
    ),
    "limits": re.compile(r"_per_|_bytes$|^(max_\w+|history_\w+|heartbeat|drain_\w+)$"),
}
"""Names of the settings in each table of docs/security.md, by the table's subject."""
PAGES_WITH_TESTS = ("measuring.md", "reliability.md")
"""Pages whose claims link to the tests that prove them."""

SETTINGS_HEAD = """# Settings

Every flag of `rtdemo serve`, with its environment variable. A flag overrides the environment. The
environment overrides a `.env` file in the working directory. The file overrides the default.

If a value is not allowed, the server does not start: it prints one line and exits with code 2. A `bool`
flag also has its opposite, such as `--no-single-site`.

"""

METRICS_HEAD = """# Metrics

`GET /metrics` answers in the Prometheus text format, for all workers together.
A [dashboard](../deploy/monitoring/grafana/rtdemo.json) for Grafana shows them. `/metrics` needs the
admin token (`Authorization: Bearer`), except from [local users](deploy.md#who-is-a-local-user) or
with `--public-stats`.

```console
$ curl localhost:3000/metrics
...
rtdemo_connections{transport="websocket"} 0.0
rtdemo_connections{transport="sse"} 0.0
...
```

| metric | type | labels | what |
|---|---|---|---|
"""


def settings_page() -> str:
    """Return docs/settings.md."""
    return SETTINGS_HEAD + reference()


async def metrics_page() -> str:
    """Return docs/metrics.md, from the metrics of a server that runs for this."""
    async with (
        serve() as live,
        aiohttp.ClientSession() as http,
        http.get(f"{live.server.web_url}/metrics") as answer,
    ):
        text = await answer.text()
    return METRICS_HEAD + "\n".join(_rows(text)) + "\n"


def _rows(text: str) -> Iterator[str]:
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        shown = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name}` | {family.type} | {shown} | {family.documentation} |"


def security_page() -> str:
    """Return docs/security.md with the settings of each subject as they are declared now."""
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    return _SETTINGS_OF_SUBJECT.sub(lambda match: match[1] + _settings_of(match[2]) + match[3], text)


def _settings_of(subject: str) -> str:
    rows = ["| flag | default | what |", "|---|---|---|"]
    for name, setting in SETTINGS.items():
        if SUBJECTS[subject].search(name):
            default = "" if setting.default in ("", ()) else f"`{as_text(setting.default)}`"
            rows.append(f"| `{setting.flag}` | {default} | {setting.help} |")
    return "\n".join(rows) + "\n"


def conform_page() -> str:
    """Return docs/conform.md with the checks as they are declared now."""
    text = (DOCS / "conform.md").read_text(encoding="utf-8")
    rows = ["| id | level | clause | rule |", "|---|---|---|---|"]
    for check in CHECKS:
        clause = f"[{check.clause}]({clauses.url(check.clause)})"
        rows.append(f"| `{check.id}` | {check.level} | {clause} | {check.rule} |")
    begin, end = "<!-- checks -->\n", "<!-- end of checks -->"
    before, _, after = text.partition(begin)
    return before + begin + "\n".join(rows) + "\n" + end + after.partition(end)[2]


def linked_page(page: str) -> str:
    """Return a page with each link to a test leading to the file that has that test now."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.sub(r"\.\./tests/\S+#(test_\w+)$", _link, text, flags=re.MULTILINE)


def _link(match: re.Match[str]) -> str:
    found = find_tests(match[1])
    return f"../{found[0]}#{match[1]}" if len(found) == 1 else match[0]


def find_tests(function: str) -> list[str]:
    """Return the files that define a test function, by their paths in the repository."""
    return _files_of_tests().get(function, [])


@functools.cache
def _files_of_tests() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        for function in re.findall(r"^(?:async )?def (\w+)\(", text, re.MULTILINE):
            found.setdefault(function, []).append(file.relative_to(ROOT).as_posix())
    return found


def main() -> None:
    """Write the pages."""
    (DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
    (DOCS / "security.md").write_text(security_page(), encoding="utf-8")
    (DOCS / "metrics.md").write_text(asyncio.run(metrics_page()), encoding="utf-8")
    (DOCS / "conform.md").write_text(conform_page(), encoding="utf-8")
    for page in PAGES_WITH_TESTS:
        (DOCS / page).write_text(linked_page(page), encoding="utf-8")


if __name__ == "__main__":
    main()
