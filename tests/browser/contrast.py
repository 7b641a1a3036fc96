"""The script that measures contrast (WCAG 2.2)."""

from __future__ import annotations

from pathlib import Path

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
