"""An install from pyproject.toml and constraints.txt gives what the code imports and what was tested together."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distributions, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = {canonicalize_name(req.name): req for req in map(Requirement, PROJECT["dependencies"])}
EXTRAS = {
    canonicalize_name(Requirement(text).name)
    for extra, names in PROJECT["optional-dependencies"].items()
    if extra not in ("test", "bench")
    for text in names
}
PINS = {
    canonicalize_name(name): Version(version)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for name, version in [line.split("==")]
}


def test_everything_imported_is_a_declared_dependency():
    distributions = packages_distributions()
    ours = {"forecasting", "flows", "daily_forecast", "daily_forecast_flows"}
    missing = {
        (module, str(file.relative_to(ROOT)))
        for package in ours
        for file in (ROOT / package).rglob("*.py")
        for module in _imported(file)
        if module not in sys.stdlib_module_names | ours | {"_typeshed"}  # there for type checkers alone
        and not {canonicalize_name(name) for name in distributions.get(module, [module])}
        & (DEPENDENCIES.keys() | EXTRAS)
    }
    assert not missing


def test_every_declared_dependency_is_imported():
    distributions = packages_distributions()
    imported = {
        canonicalize_name(name)
        for package in ("forecasting", "flows")
        for file in (ROOT / package).rglob("*.py")
        for module in _imported(file)
        for name in distributions.get(module, [])
    }
    # Bounded for Prefect's sake, which brings them; the reasons are beside them in pyproject.toml.
    assert DEPENDENCIES.keys() - imported == {"fastapi", "sqlalchemy"}


def test_types_are_shipped_as_the_classifiers_say():
    assert "Typing :: Typed" in PROJECT["classifiers"]
    for package in ("forecasting", "flows/daily_forecast_flows"):
        assert (ROOT / package / "py.typed").is_file()


def test_every_requirement_is_pinned_and_inside_its_bounds():
    extras = PROJECT["optional-dependencies"]
    todo = [*DEPENDENCIES.values(), *(Requirement(text) for names in extras.values() for text in names)]
    seen: set[tuple[str, str]] = set()
    while todo:
        req = todo.pop()
        name = canonicalize_name(req.name)
        assert name in PINS, f"{name} is in no line of constraints.txt"
        assert req.specifier.contains(PINS[name]), f"{req} is not met by the pinned {PINS[name]}"
        for extra in {"", *req.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                further = [Requirement(text) for text in requires(name) or []]
            except PackageNotFoundError:
                continue  # an extra that is not installed here
            todo += [
                found
                for found in further
                if found.name != "pip" and (found.marker is None or found.marker.evaluate({"extra": extra}))
            ]
    # Nothing is pinned that nothing needs; of what is not installed (another Python, `make bench`) that is not known.
    installed = {canonicalize_name(found.name) for found in distributions()}
    assert (PINS.keys() & installed) - {name for name, _ in seen} == set()


def test_constraints_name_versions_and_no_address():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9A-Za-z.]+", line) for line in lines)
    assert not any("://" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("prefect", "3.9.0"),
        ("fastapi", "0.151.0"),
        ("fastapi", "0.155.0"),
        ("sqlalchemy", "2.1.0"),
        ("torch", "2.5.1"),
        ("torch", "2.9.1"),
    ],
)
def test_versions_known_to_be_broken_or_unsafe_are_excluded(name, broken):
    assert not DEPENDENCIES[name].specifier.contains(broken)


def test_both_packages_are_importable_from_anywhere(tmp_path):
    code = "import forecasting, daily_forecast_flows; print(forecasting.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent.name == "forecasting"


def test_prefect_reads_the_projects_settings(tmp_path):
    code = (
        "from prefect.settings import get_current_settings as get; s = get(); import json;"
        "print(json.dumps([s.server.analytics_enabled, s.server.ephemeral.startup_timeout_seconds,"
        "s.server.services.task_run_recorder.batch_size, s.tasks.default_no_cache,"
        "s.tasks.runner.thread_pool_max_workers, s.results.default_serializer, sorted(s.logging.extra_loggers)]))"
    )
    # What the file says, not what the user's shell and profile say.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    clean["PREFECT_HOME"] = str(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, 120, 100, True, 8, "json", ["daily_forecast_flows", "forecasting"]]


def test_each_make_target_says_what_it_does():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    assert {"forecast", "test", "test-all", "lint", "bench", "ui", "clean", "help"} <= set(phony)
    done = _make("help", cwd=ROOT)
    assert {line.split()[1] for line in done.stdout.splitlines()} == set(phony)


def test_make_forecast_installs_no_test_tool(tmp_path):
    # On a machine that has nothing yet, so that every command is shown.
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = _make("-n", "forecast", cwd=tmp_path)
    installs = [line for line in done.stdout.splitlines() if "pip install" in line]
    assert installs
    assert all("-c constraints.txt" in line and "[" not in line for line in installs)


def test_ci_runs_what_a_newcomer_types():
    commands = (ROOT / ".ci" / "run").read_text().splitlines()
    assert {"make lint", "make test"} <= set(commands)


def _make(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, although `make test` may be what runs this: its flags are not for this one."""
    clean = {name: value for name, value in os.environ.items() if not re.fullmatch(r"MAKE.*|MFLAGS|ARGS", name)}
    return subprocess.run(["make", *arguments], cwd=cwd, env=clean, capture_output=True, text=True, check=True)


def _imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names
