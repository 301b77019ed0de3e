"""What the stack's files say fits the program: every setting exists, every panel shows a metric there is."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater.config import load

ROOT = Path(__file__).parents[2]


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def test_the_app_services_are_configured_with_settings_that_exist(tmp_path: Path) -> None:
    for name in ("gateway", "consumer", "api", "bridge"):
        environment: dict[str, str] = dict(compose()["services"][name]["environment"])
        for key, value in environment.items():
            environment[key] = value = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", str(value))  # noqa: PLW2901 - its default
            if key.endswith("_FILE"):
                secret = tmp_path / Path(value).name
                secret.write_text("a secret", "utf-8")
                environment[key] = str(secret)
        config = load(None, {key: value for key, value in environment.items() if key.startswith("HEADWATER_")})
        assert config.profile == "stack"
        assert config.redis.password.get_secret_value() == "a secret"


def test_every_image_is_pinned_and_every_service_has_a_memory_limit() -> None:
    for name, service in compose()["services"].items():
        image: str = service["image"]
        assert re.search(r":[^:/]*\d|:local$", image), (name, image)
        assert service["mem_limit"], name


def test_every_credential_that_is_read_is_made_at_the_first_start() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in ("docker-compose.yml", "deploy/prometheus.yml")]
    read = set(re.findall(r"/run/secrets/(\w+)", "".join(texts)))
    loop = re.search(r"^for name in (.+); do$", (ROOT / "deploy/credentials.sh").read_text("utf-8"), re.MULTILINE)
    assert loop is not None
    assert read == set(loop[1].split())


@pytest.mark.parametrize("action", [["down", "--volumes"], ["logs"]])
def test_what_was_started_by_a_profile_is_ended_and_read_with_the_rest(tmp_path: Path, action: list[str]) -> None:
    """What stays up keeps the network and the volumes."""
    told = tmp_path / "docker"
    told.write_text('#!/bin/sh\necho "$@"\n', "utf-8")
    told.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(
        [ROOT / "scripts/stack", *action], env=path, capture_output=True, text=True, check=True
    ).stdout
    profiles = {profile for service in compose()["services"].values() for profile in service.get("profiles", ())}
    assert set(re.findall(r"--profile (\w+)", said)) == profiles


def test_the_dashboard_shows_only_metrics_that_exist() -> None:
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs/metrics.md").read_text("utf-8"), re.MULTILINE))
    board = json.loads((ROOT / "deploy/grafana/dashboards/headwater.json").read_text("utf-8"))
    shown = {name for panel in board["panels"] for name in re.findall(r"headwater_\w+", panel["targets"][0]["expr"])}
    assert shown
    assert {re.sub(r"_(total|bucket)$", "", name) for name in shown} <= documented
