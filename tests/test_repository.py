"""What a stranger finds beside the code: documents whose references exist, and checks that run what they say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "data/README.md"]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_named_in_a_document_exist(name):
    text = (ROOT / name).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:forecasting|flows|tests|deployments|data|\.ci|\.github)/[\w./-]*)`", text)
    missing = [link for link in links if not (ROOT / name).parent.joinpath(link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists() and path != "data/output"]
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_make_targets_named_in_a_document_exist(name):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:`|^    |&& )make ([a-z-]+)", (ROOT / name).read_text(), re.MULTILINE)
    assert set(named) <= set(targets)


def test_the_import_contract_names_the_packages_of_the_library():
    (layers,) = [
        contract["layers"]
        for contract in PYPROJECT["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    named = {module for layer in layers for module in re.split(r"\s*[|:]\s*", layer)}
    modules = {f"forecasting.{path.stem}" for path in (ROOT / "forecasting").iterdir() if not path.stem.startswith("_")}
    assert modules - {"forecasting.py"} <= named


def test_the_hosted_checks_run_on_every_supported_python():
    job = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text())["jobs"]["check"]
    oldest = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"]["python"][0] == oldest
    assert {"ubuntu-latest", "macos-latest"} <= set(job["strategy"]["matrix"]["os"])
    assert any(step.get("run") == "bash .ci/run" for step in job["steps"])


@pytest.mark.parametrize(
    "name", [".pre-commit-config.yaml", ".github/dependabot.yml", ".github/ISSUE_TEMPLATE/problem.yml"]
)
def test_the_other_configuration_can_be_parsed(name):
    assert isinstance(yaml.safe_load((ROOT / name).read_text()), dict)
