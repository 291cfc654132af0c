"""Pull an archive, a reader study or an algorithm's jobs into a folder."""

from __future__ import annotations
