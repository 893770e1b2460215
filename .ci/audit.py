"""Ask pip-audit whether a pinned version is known to be vulnerable, and say plainly how much it could look up.

A finding fails, unless it is explained in `EXPLAINED`. A service that cannot be reached, or that knows none of the
packages, fails nothing: no answer is not a finding. Run as `python .ci/audit.py`, the last part of `make lint`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"

EXPLAINED: dict[str, str] = {}
"""Findings that do not concern this project: the identifier and, in a sentence, why not."""


def main() -> int:
    """Audit constraints.txt; 1 if anything in it is vulnerable without explanation."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json", "--timeout", "15"]
    done = subprocess.run([*command, "--requirement", str(CONSTRAINTS)], capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        sys.stdout.write(f"pip-audit: nothing audited, the vulnerability service could not be asked ({reason})\n")
        return 0
    audited = [package for package in packages if "skip_reason" not in package]
    findings = [(package, finding) for package in audited for finding in package["vulns"]]
    unexplained = 0
    for package, finding in findings:
        names = {finding["id"], *finding["aliases"]}
        why = next((EXPLAINED[name] for name in names if name in EXPLAINED), None)
        unexplained += why is None
        fixed = ", ".join(finding["fix_versions"]) or "none yet"
        sys.stdout.write(
            f"pip-audit: {package['name']} {package['version']}: {', '.join(sorted(names))}; fixed in: {fixed}; "
            f"{'explained: ' + why if why else 'NOT EXPLAINED'}\n"
        )
    sys.stdout.write(
        f"pip-audit: {len(audited)} of {len(packages)} pinned packages looked up, {len(findings)} findings, "
        f"{unexplained} unexplained\n"
    )
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
