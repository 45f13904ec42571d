"""The image of packaging/docker, built and run by a real engine; the examples, run by compose."""

import json
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import anyclawd
from tests.fakes.daemon import Chat, debug_http, mock, system, until, write_config
from tests.system.engine import Engine, bare, compose_of, running
from tests.system.package import ROOT
from tests.system.tree import Release, Unavailable

DOCKERFILE = "packaging/docker/Dockerfile"
EXAMPLE = Path("docs/examples/01-fake-agent-telegram-bot")
REAL = Path("docs/examples/02-real-agent")
DEBIAN = {Release.TRIXIE: "debian:13-test", Release.BOOKWORM: "debian:12-test"}
IMAGE = "anyclawd:test"
PACKAGE = "anyclawd:test-package"  #: the stage that builds the package
SECRET = secrets.token_hex()  #: of the context, and of no layer
CHAT = "debug-http:local:local"
BOOTED = "default.target: running"  #: what the log says when a boot has settled

#: What the guide says of hardening, and health that is looked at at once.
HARDENED = (
    *("--read-only", "--tmpfs=/run", "--tmpfs=/tmp", "--cap-drop=ALL"),
    *("--security-opt=no-new-privileges", "--health-interval=1s"),
)
PUBLISHED = "--publish=127.0.0.1::8080"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    try:
        with running() as engine:
            yield engine
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this checkout, and some that are nobody else's business."""
    copy = tmp_path_factory.mktemp("checkout")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    for private in (EXAMPLE / ".env", REAL / "secrets/anthropic_api_key", Path(".git/config")):
        (copy / private).parent.mkdir(parents=True, exist_ok=True)
        (copy / private).write_text(f"KEY={SECRET}\n")
    return copy


@pytest.fixture(scope="module")
def image(engine: Engine, checkout: Path) -> str:
    """The image on Debian 13, by the classic builder."""
    load(engine, Release.TRIXIE)
    arguments = {"BASE": DEBIAN[Release.TRIXIE]}
    file = f"--file={checkout / DOCKERFILE}"
    engine.build(checkout, PACKAGE, file, "--target=package", arguments=arguments)
    engine.build(checkout, IMAGE, file, arguments=arguments)
    return IMAGE


def load(engine: Engine, release: Release) -> None:
    """Make the base image; skip where packages are out of its reach."""
    engine.load(bare(release), DEBIAN[release])
    tried = engine.docker(
        *("run", "--rm", "--network=host", DEBIAN[release]),
        *("apt-get", "update", "--error-on=any"),
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"no packages of Debian can be had in a build: {tried.stdout[-500:]}")


def chat_with(engine: Engine, container: str, key: str = "") -> Chat:
    """The debug-http channel by the port that the engine has published."""
    address = engine.docker("port", container, "8080/tcp").stdout.split()[0]
    return Chat(int(address.rpartition(":")[2]), key)


def configuration(directory: Path, **options: object) -> str:
    """The option that mounts a configuration with the mock agent, on a store."""
    config = system(
        {"default": {**mock(**options), "timeouts": {"stop": "1s"}}},
        {"debug-http": {**debug_http(host="0.0.0.0", port=8080), "queue": {"mode": "followup"}}},
        session_store={"type": "sqlite", "path": "/var/lib/anyclawd/sessions.db"},
        log_format="json",
    )
    write_config(directory / "anyclaw.yaml", config)
    return f"--volume={directory}/anyclaw.yaml:/etc/anyclawd/anyclaw.yaml:ro"


# -- the image -----------------------------------------------------------------------------------


def test_the_image_is_small_and_says_what_it_is(engine: Engine, image: str) -> None:
    labels = engine.inspect(image, ".Config.Labels")
    assert labels["org.opencontainers.image.version"] == anyclawd.__version__
    assert labels["org.opencontainers.image.base.name"] == DEBIAN[Release.TRIXIE]
    assert engine.inspect(image, ".Config.User") == "10001:10001"
    sizes = [engine.inspect(name, ".Size") for name in (image, DEBIAN[Release.TRIXIE])]
    assert sizes[0] - sizes[1] < 160 * 2**20


def test_nothing_private_is_in_a_layer(engine: Engine, image: str) -> None:
    """The package's stage has seen all that the context has."""
    for name in (image, PACKAGE):
        looked = ["grep", "-rlsF", "--exclude-dir=proc", "--exclude-dir=sys", SECRET, "/"]
        found = engine.docker("run", "--rm", "--user=0", name, *looked, check=False)
        assert (found.returncode, found.stdout) == (1, "")
        assert SECRET not in engine.docker("history", "--no-trunc", name).stdout


def test_it_needs_no_root_no_capability_and_no_writable_file_system(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    options = (*HARDENED, PUBLISHED, configuration(tmp_path))
    with engine.started(image, *options) as container:
        engine.wait_healthy(container)
        assert engine.inside(container, "id", "-u").stdout == "10001\n"
        assert engine.inside(container, "touch", "/etc/mark", check=False).returncode == 1
        status = engine.inside(container, "cat", "/proc/1/status").stdout
        assert "CapBnd:\t0000000000000000\n" in status
        assert "best effort" in engine.inside(container, "anyclawctl", "status").stdout
        chat_with(engine, container).converse("hello", "Echo: hello")
        engine.wait_logged(container, BOOTED)
        lines = engine.logs(container).splitlines()
        assert BOOTED in [json.loads(line)["message"] for line in lines]


def test_plain_it_runs_the_configuration_of_the_package(engine: Engine, image: str) -> None:
    with engine.started(image, "--health-interval=1s") as container:
        engine.wait_healthy(container)
        sent = engine.inside(container, "anyclawctl", "send", "hello")
        assert sent.stdout.endswith("Echo: hello\n")


def test_another_program_takes_the_place_of_the_daemon(engine: Engine, image: str) -> None:
    asked = engine.docker("run", "--rm", image, "anyclawctl", "doctor", "--json", check=False)
    found = json.loads(asked.stdout)["findings"]
    assert [one for one in found if one["severity"] == "error"] == []
    assert engine.docker("run", "--rm", image, "anyclawctl", "validate").returncode == 0


def test_a_configuration_that_cannot_be_used_is_told_with_its_place(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    option = configuration(tmp_path)
    (tmp_path / "anyclaw.yaml").write_text("agents_manager:\n  agents: nobody\n")
    ran = engine.docker("run", "--rm", *HARDENED, option, image, check=False)
    assert ran.returncode == 78
    assert "/etc/anyclawd/anyclaw.yaml:2:11: error: agents_manager.agents: " in ran.stdout


def test_as_pid_1_it_buries_whoever_is_left_to_it(engine: Engine, image: str) -> None:
    with engine.started(image, "--health-interval=1s") as container:
        engine.wait_healthy(container)
        orphan = engine.inside(container, "sh", "-c", "sleep 0.1 >&2 & echo $!").stdout.strip()
        script = f"while [ -e /proc/{orphan} ]; do :; done"
        engine.inside(container, "timeout", "30", "sh", "-c", script)


def test_a_stop_keeps_what_waits_and_a_start_goes_on_with_it(
    engine: Engine, image: str, tmp_path: Path
) -> None:
    mounted = configuration(tmp_path, thinking=True, thinking_time_ms=600_000)
    with engine.started(image, *HARDENED, PUBLISHED, mounted) as container:
        engine.wait_healthy(container)
        chat = chat_with(engine, container)
        with chat.listening() as events:
            chat.say("first")
            until(events, ("thought", "Formulating response..."))
            chat.say("second")
        engine.docker("stop", "--time=45", container)
        assert engine.inspect(container, ".State.ExitCode") == 0
        configuration(tmp_path)
        engine.docker("start", container)
        engine.wait_logged(container, BOOTED, times=2)
        chat = chat_with(engine, container)
        with chat.listening() as events:
            until(events, ("", "Echo: second"))
        chat.converse("third", "Echo: third")
        asked = engine.inside(container, "anyclawctl", "sessions", "history", "--json", CHAT)
        turns = json.loads(asked.stdout)["turns"]
        assert [turn["prompt"] for turn in turns][-2:] == ["second", "third"]
        assert {turn["conversation"] for turn in turns} == {1}


# -- the examples --------------------------------------------------------------------------------


@pytest.fixture
def example(engine: Engine, image: str, checkout: Path) -> Iterator[Path]:
    """The first example as its page says, on a free port; compose finds the layers of the image."""
    directory = checkout / EXAMPLE
    settings = (directory / ".env.example").read_text()
    for name, value in {
        "ANYCLAWD_PORT": str(free_port()),
        "ANYCLAWD_IMAGE": "anyclawd:example",
        "ANYCLAWD_BASE": DEBIAN[Release.TRIXIE],
    }.items():
        settings, count = re.subn(rf"^{name}=.*$", f"{name}={value}", settings, flags=re.MULTILINE)
        assert count == 1
    (directory / ".env").write_text(settings)
    yield directory
    engine.compose(directory, "down", "--volumes")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def set_variable(directory: Path, name: str, value: str) -> None:
    path = directory / ".env"
    path.write_text(
        re.sub(rf"^{name}=.*$", f"{name}={value}", path.read_text(), flags=re.MULTILINE)
    )


def up(engine: Engine, directory: Path, program: Path | None = None) -> tuple[str, Chat]:
    """Start a project; its container once it has booted, and its channel."""
    engine.compose(directory, "up", "--detach", program=program)
    container = engine.compose(directory, "ps", "--quiet", program=program).stdout.split()[-1]
    engine.wait_logged(container, BOOTED)
    return container, chat_with(engine, container)


def test_the_first_example_answers_as_its_page_says(engine: Engine, example: Path) -> None:
    container, chat = up(engine, example)
    [command] = re.findall(
        r"^curl -X POST(?:.*\\\n)*.*$", (example / "README.md").read_text(), re.MULTILINE
    )
    assert "localhost:8080/message" in command
    with chat.listening() as events:
        asked = engine.run(
            "sh", "-c", command.replace(":8080", f":{chat.port}").replace("curl", "curl -s")
        )
        assert json.loads(asked.stdout)["status"] == "queued"
        told = until(events, ("", "Echo: hello"))
    assert ("thought", "Analyzing your message...") in told
    assert "telegram" not in engine.logs(container)
    ports = engine.inspect(container, ".NetworkSettings.Ports")
    assert [one["HostIp"] for one in ports["8080/tcp"]] == ["127.0.0.1"]


def test_the_first_example_says_what_it_lacks_for_telegram(engine: Engine, example: Path) -> None:
    set_variable(example, "TELEGRAM_ENABLED", "true")
    container, chat = up(engine, example)
    chat.converse("hello", "Echo: hello")
    missing = "the extension channels/telegram is not part of this version"
    assert missing in engine.inside(container, "anyclawctl", "explain", "telegram.channel").stdout
    told = engine.inside(container, "anyclawctl", "validate").stdout
    line = (example / "anyclaw.yaml").read_text().partition("    telegram:")[0].count("\n") + 1
    assert f"/etc/anyclawd/anyclaw.yaml:{line}:5: warning: " in told
    assert missing in told


def test_the_first_example_keeps_its_chats_and_a_key(engine: Engine, example: Path) -> None:
    _, chat = up(engine, example)
    chat.converse("one", "Echo: one")
    engine.compose(example, "down")
    set_variable(example, "DEBUG_HTTP_KEY", "a key")
    container, chat = up(engine, example)
    assert chat.ask("POST", "/message", {"message": "two"})[0] == 401
    chat_with(engine, container, "a key").converse("two", "Echo: two")
    asked = engine.inside(container, "anyclawctl", "sessions", "history", "--json", CHAT)
    turns = json.loads(asked.stdout)["turns"]
    assert [(turn["conversation"], turn["prompt"]) for turn in turns] == [(1, "one"), (1, "two")]


def test_the_compose_of_debian_13_takes_it_as_well(engine: Engine, example: Path) -> None:
    try:
        newer = compose_of(Release.TRIXIE)
    except Unavailable as error:
        pytest.skip(str(error))
    _, chat = up(engine, example, newer)
    chat.converse("hello", "Echo: hello")
    engine.compose(example, "down", "--volumes", program=newer)
    (example.parent / REAL.name / ".env").write_text("")
    assert (
        "/etc/anyclawd"
        in engine.compose(example.parent / REAL.name, "config", program=newer).stdout
    )


@pytest.fixture
def real(engine: Engine, checkout: Path) -> Iterator[Path]:
    """The second example, with secrets made as its page says."""
    directory = checkout / REAL
    shutil.rmtree(directory / "secrets")
    lines = re.findall(
        r"^(?:install|\(umask) .*$", (directory / "README.md").read_text(), re.MULTILINE
    )
    assert len(lines) == 3
    script = "\n".join(lines).replace("cat >", f"echo {SECRET} >")
    engine.run("sh", "-euc", script, cwd=directory)
    (directory / ".env").write_text(f"ANYCLAWD_PORT={free_port()}\n")
    yield directory
    engine.compose(directory, "down", "--volumes")


def choose_image(directory: Path, image: str) -> None:
    with (directory / ".env").open("a") as settings:
        settings.write(f"AGENT_IMAGE={image}\n")


def test_secrets_of_compose_are_credentials(engine: Engine, image: str, real: Path) -> None:
    """In an image without the agent: its unit fails, and the channel is behind its key."""
    choose_image(real, image)
    container, chat = up(engine, real)
    key = (real / "secrets/debug_http_key").read_text().strip()
    assert chat.ask("GET", "/permissions/pending")[0] == 401
    assert chat_with(engine, container, key).ask("GET", "/permissions/pending") == (200, [])
    explained = engine.inside(container, "anyclawctl", "explain", "default.agent").stdout
    assert "opencode" in explained
    shown = engine.inside(
        container, "anyclawctl", "cat", "default.agent", "debug-http.channel"
    ).stdout
    told = (shown, explained, engine.logs(container), engine.docker("inspect", container).stdout)
    assert [text for text in told if key in text or SECRET in text] == []
    kept = ["grep", "-rlF", "-e", key, "-e", SECRET, "/var/lib/anyclawd"]
    assert engine.inside(container, *kept, check=False).returncode == 1


def test_the_second_example_runs_a_real_agent(
    engine: Engine, image: str, real: Path, tmp_path: Path
) -> None:
    arguments = {"ANYCLAWD": image, "NODE": node(engine, tmp_path)}
    engine.build(real, "anyclawd-opencode:test", arguments=arguments)
    choose_image(real, "anyclawd-opencode:test")
    container, _ = up(engine, real)
    asked = engine.inside(container, "anyclawctl", "is-active", "default.agent", check=False)
    assert (asked.stdout, asked.returncode) == ("active\n", 0)
    assert engine.inside(container, "anyclawctl", "validate").returncode == 0
    engine.inside(container, "touch", "/workspace/mark", "/var/lib/opencode/mark")


def node(engine: Engine, directory: Path) -> str:
    """An image with the npm of this machine, asking the registry that it asks."""
    npm, program = shutil.which("npm"), shutil.which("node")
    if npm is None or program is None:
        pytest.skip("there is no npm")
    [agent] = re.findall(
        r"npm install \S+ \S+ (\S+)$", (ROOT / REAL / "Dockerfile").read_text(), re.MULTILINE
    )
    settings = {}
    for name in ("registry", "cafile"):
        asked = subprocess.run([npm, "config", "get", name], capture_output=True, text=True)
        settings[name] = asked.stdout.strip()
    found = subprocess.run([npm, "view", agent, "version"], capture_output=True, text=True)
    if found.returncode or not found.stdout:
        pytest.skip(f"npm cannot fetch {agent} here: {found.stderr[-300:]}")
    shutil.copy(Path(program).resolve(), directory / "node")
    shutil.copytree(Path(npm).resolve().parents[1], directory / "npm", symlinks=True)
    lines = [f"registry={settings['registry']}"]
    if (certificates := Path(settings["cafile"])).is_file():
        shutil.copy(certificates, directory / "certificates")
        lines.append("cafile=/opt/certificates")
    (directory / "npmrc").write_text("\n".join(lines) + "\n")
    (directory / "Dockerfile").write_text(
        f"FROM {DEBIAN[Release.TRIXIE]}\n"
        "COPY . /opt/\n"
        "ENV NPM_CONFIG_GLOBALCONFIG=/opt/npmrc\n"
        "RUN ln -s /opt/node /usr/local/bin/ && ln -s /opt/npm/bin/npm-cli.js /usr/local/bin/npm\n"
    )
    engine.build(directory, "node:test")
    return "node:test"


# -- the other release, the other builder --------------------------------------------------------


def test_debian_12_and_buildkit_do_as_well(engine: Engine, checkout: Path, tmp_path: Path) -> None:
    load(engine, Release.BOOKWORM)
    arguments = {"BASE": DEBIAN[Release.BOOKWORM]}
    file = f"--file={checkout / DOCKERFILE}"
    engine.build(
        checkout, "anyclawd:test-12", file, buildkit=engine.has_buildkit(), arguments=arguments
    )
    options = (*HARDENED, PUBLISHED, configuration(tmp_path))
    with engine.started("anyclawd:test-12", *options) as container:
        engine.wait_healthy(container)
        chat_with(engine, container).converse("hello", "Echo: hello")
        engine.docker("stop", "--time=45", container)
        assert engine.inspect(container, ".State.ExitCode") == 0
