"""The type of what a JSON file of this project holds, before its fields are looked at."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]
