"""The names of a store's files: paths in it, with ``/``, the same in a folder and in a bucket.

    forecasts/as_of=YYYY-MM-DD/forecasts.parquet            the product; the last thing written
    evaluation/as_of=YYYY-MM-DD/heldout/shard-NNN.parquet   every held-out forecast, with the actual; one table in parts
    evaluation/as_of=YYYY-MM-DD/metrics.parquet             the scores of those
    models/as_of=YYYY-MM-DD/*.safetensors                   weights and scalers
    reports/as_of=YYYY-MM-DD/report.html                    the report
    runs/as_of=YYYY-MM-DD/manifest.json                     inputs, configuration, versions, files
    scores/as_of=YYYY-MM-DD/scores.parquet                  how these forecasts turned out
    backtests/as_of=YYYY-MM-DD/...                          what would have been forecast from many past sessions

Two hidden folders hold nothing that is published: ``.staging`` the drafts of a run, ``.index`` files that can be made
again from the others.
"""

from __future__ import annotations

import contextlib
import re
from datetime import date

__all__ = [
    "HIDDEN",
    "KINDS",
    "STAGING",
    "check_name",
    "folder",
    "forecasts",
    "group_of",
    "heldout_part",
    "is_draft",
    "is_part_of_run",
    "manifest",
    "metrics",
    "model",
    "partition_date",
    "report",
    "scores",
]

KINDS = ("forecasts", "evaluation", "models", "reports", "runs", "scores", "backtests")
"""The folders of a store."""

STAGING = ".staging"
HIDDEN = (STAGING, ".index")

_DRAFT = re.compile(r"\.staging/[0-9a-f]{16}\.part")
_GROUPED_DRAFT = re.compile(r"\.staging/[0-9a-f]{16}/[0-9a-f]{16}\.part")
_PARTITION = re.compile(r"[a-z]+/as_of=(\d{4}-\d{2}-\d{2})/.+", re.DOTALL)
_RUN_FILES = re.compile(
    r"(evaluation/[^/]+/(heldout\.parquet|heldout/[^/]+\.parquet|metrics\.parquet)"
    r"|models/[^/]+/[^/]+\.safetensors|reports/[^/]+/report\.html)",
    re.DOTALL,
)


def folder(kind: str, as_of: date) -> str:
    """Return the folder of one kind (of `KINDS`) and date."""
    day = date(as_of.year, as_of.month, as_of.day)  # a datetime is a date too, but would write its time
    return f"{kind}/as_of={day.isoformat()}"


def forecasts(as_of: date) -> str:
    """Return the name of forecasts.parquet."""
    return f"{folder('forecasts', as_of)}/forecasts.parquet"


def heldout_part(as_of: date, shard: int) -> str:
    """Return the name of one shard's part of the held-out rows."""
    return f"{folder('evaluation', as_of)}/heldout/shard-{shard:03d}.parquet"


def metrics(as_of: date) -> str:
    """Return the name of metrics.parquet."""
    return f"{folder('evaluation', as_of)}/metrics.parquet"


def model(as_of: date, stem: str) -> str:
    """Return the name of a model file."""
    return f"{folder('models', as_of)}/{stem}.safetensors"


def report(as_of: date) -> str:
    """Return the name of report.html."""
    return f"{folder('reports', as_of)}/report.html"


def manifest(as_of: date) -> str:
    """Return the name of manifest.json."""
    return f"{folder('runs', as_of)}/manifest.json"


def scores(as_of: date) -> str:
    """Return the name of scores.parquet."""
    return f"{folder('scores', as_of)}/scores.parquet"


def partition_date(name: str) -> date | None:
    """Return the date that a file belongs to; None where its folder does not name one."""
    match = _PARTITION.fullmatch(name)
    with contextlib.suppress(ValueError):
        return date.fromisoformat(match[1]) if match else None
    return None


def is_part_of_run(name: str) -> bool:
    """Whether a run writes files of this name in addition to its forecasts and its manifest."""
    return _RUN_FILES.fullmatch(name) is not None


def is_draft(name: str, *, grouped: bool) -> bool:
    """Whether this is the name of a draft: one written under the store's lock, or a shard's, which is in a group."""
    return (_GROUPED_DRAFT if grouped else _DRAFT).fullmatch(name) is not None


def group_of(draft: str) -> str:
    """Return the group of a shard's draft."""
    return draft.rpartition("/")[0]


def check_name(name: str) -> None:
    """Check that a name is in the store's folders.

    Raises
    ------
    ValueError
        When it is not.
    """
    parts = name.split("/")
    known = parts[0] in (*KINDS, *HIDDEN)
    if len(parts) < 2 or not known or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(f"{name!r} is not a path of the store")
