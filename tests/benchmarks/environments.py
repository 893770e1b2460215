"""Virtual environments of the libraries that this project is compared with, under .cache/bench."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["CACHE", "ROOT", "make_environment"]

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"


def make_environment(name: str, packages: Sequence[str]) -> Path | None:
    """Make an environment where it is not there yet; its Python, or None when it cannot be made.

    Libraries on torch get the torch that is pinned here: add "torch" to their packages.
    """
    home = CACHE / name
    python = home / "bin" / "python"
    pinned = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    wanted = [pinned if package == "torch" else package for package in packages]
    stamp = home / "packages.txt"
    if stamp.is_file() and stamp.read_text().split() == wanted:
        return python
    print(f"installing {' '.join(wanted)} into {home.relative_to(ROOT)}", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    except subprocess.CalledProcessError:
        return None
    stamp.write_text("\n".join(wanted))
    return python
