"""Each engine by its name, for tools that run in any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from tests.browser.engines.chromium import chromium
from tests.browser.engines.engine import Engine
from tests.browser.engines.firefox import firefox
from tests.browser.engines.webkit import webkit

Run = Callable[[], AbstractAsyncContextManager[Engine]]
ENGINES: Mapping[str, Run] = {"chromium": chromium, "firefox": firefox, "webkit": webkit}
