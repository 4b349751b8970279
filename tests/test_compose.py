"""``docker-compose.yml``: what it says, and its commands as they stand, run in a plain directory instead of a container.

There is no engine where the tests run. So each instruction of the image's recipe is carried out in a folder that stands
for the image's root, with a copy of this Python for the base image's; then its command is started and its health check
run, without rights and without a place to write, as the container would be.
"""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from ruamel.yaml import YAML

from tests.running import CLEAN, ROOT, GatewayProcess, RawUpstream
from tests.tools import require_tool

TOKEN, PAGE_TOKEN = "canary-of-compose-0123456789", "canary-of-the-page-0123456789"
REDIS_PASSWORD = "canary-of-redis-0123456789"
BUILD_SECONDS, READY_SECONDS = 240, 30
FILE: dict[str, Any] = YAML(typ="safe", pure=True).load(ROOT / "docker-compose.yml")
SERVICE: dict[str, Any] = FILE["services"]["whygate"]
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
GIVEN = {"WHYGATE_TOKEN": TOKEN, "WHYGATE_PAGE_TOKEN": PAGE_TOKEN, "WHYGATE_REDIS_PASSWORD": REDIS_PASSWORD}
"""What has to stand in ``.env``."""
_VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}")


def interpolated(text: str, env: dict[str, str]) -> str:
    """Fill in ``${NAME}``, ``${NAME:-default}``, ``${NAME:?told when it is missing}`` and ``$$`` as compose does."""

    def fill(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if value := env.get(found[1], ""):
            return value
        if found[2] == "?":
            raise LookupError(found[1], found[3])
        return found[3] or ""

    return _VARIABLE.sub(fill, text)


def environment(env: dict[str, str], service: str = "whygate") -> dict[str, str]:
    return {name: interpolated(str(value), env) for name, value in SERVICES[service]["environment"].items()}


def instructions() -> list[tuple[str, str]]:
    """Give the recipe's lines as instruction and rest; comments are left out, continued lines joined."""
    text = interpolated(SERVICE["build"]["dockerfile_inline"], {}).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(line.split(" ", 1)[0].upper(), line.split(" ", 1)[1].strip()) for line in lines]


@dataclass
class Image:
    """The folder that stands for a built image.

    Attributes:
        env: What ENV said.
        workdir: Where WORKDIR leads.
        command: What CMD said.
    """

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: Path = Path()
    command: list[str] = field(default_factory=list)
    user: str = ""

    def build(self) -> None:
        """Carry out every instruction."""
        _copy_python(self.root / "usr")
        context = self.root / "context"
        tracked = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for name in filter(None, tracked.split("\0")):
            if (ROOT / name).is_file():
                (context / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, context / name)
        for name, rest in instructions():
            {"FROM": self._from, "ENV": self._env, "WORKDIR": self._workdir, "COPY": self._copy, "RUN": self._run,
             "USER": self._user, "CMD": self._cmd}[name](rest)  # fmt: skip

    def _from(self, rest: str) -> None:
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim", rest)

    def _env(self, rest: str) -> None:
        self.env |= dict(word.split("=", 1) for word in shlex.split(rest))

    def _workdir(self, rest: str) -> None:
        self.workdir = self.inside(rest)
        self.workdir.mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in sources:
            there, here = self.workdir / target, self.root / "context" / source
            if here.is_dir():
                shutil.copytree(here, there)
            else:
                shutil.copyfile(here, there / source)

    def _run(self, rest: str) -> None:
        command = re.sub(r"^(--\S+\s+)+", "", rest)  # --mount: this machine's own cache serves as well
        run = subprocess.run(
            ["sh", "-c", command], cwd=self.workdir, env=self.environment(building=True), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=BUILD_SECONDS, check=False,
        )  # fmt: skip
        if run.returncode and re.search(r"dns error|name resolution|Name or service|timed out|No matching", run.stdout):
            _unless_required(f"the package index cannot be reached: {run.stdout[-300:]}")
        assert run.returncode == 0, f"{command}\n{run.stdout}"

    def _user(self, rest: str) -> None:
        self.user = rest

    def _cmd(self, rest: str) -> None:
        self.command = json.loads(rest)

    def inside(self, path: str) -> Path:
        """Give where a path of the container lies."""
        return self.root / path.lstrip("/")

    def environment(self, *, building: bool = False) -> dict[str, str]:
        """Give an environment like the container's."""
        path = f"{self.root}/usr/bin:/usr/bin:/bin"
        if os.geteuid():  # only root can give files away
            stub = self.root / "stub" / "chown"
            stub.parent.mkdir(exist_ok=True)
            stub.write_text("#!/bin/sh\n")
            stub.chmod(0o755)
            path = f"{stub.parent}:{path}"
        known = {n: v for n, v in CLEAN.items() if n.startswith(("PIP_", "UV_", "SSL_CERT")) or n == "HOME"}
        return (known if building else {"HOME": "/"}) | self.env | {
            "PATH": path, "LD_LIBRARY_PATH": f"{self.root}/usr/lib",
        }  # fmt: skip

    def seal(self) -> None:
        """Make everything read-only but the volumes: ``read_only: true``."""
        volumes = [self.inside(volume.split(":")[1]) for volume in SERVICE["volumes"]]
        for path in self.workdir.rglob("*"):
            if not path.is_symlink() and path not in volumes:
                path.chmod(path.stat().st_mode & ~0o222)
        self.workdir.chmod(0o555)

    def without_rights(self, command: list[str]) -> list[str]:
        """Give a command as the container runs it: as its user, with no capability, and none to be had."""
        if os.geteuid():
            return command
        uid, gid = self.user.split(":")
        setpriv = require_tool("setpriv", "apt-get install util-linux")
        return [
            setpriv, "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs", "--bounding-set=-all",
            "--inh-caps=-all", *command,
        ]  # fmt: skip


def _unless_required(words: str) -> None:
    if os.environ.get("WHYGATE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(words)
    pytest.skip(words)


def _copy_python(target: Path) -> None:
    """Put a copy of this Python, without what was installed into it, where the base image has its own."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (target / "bin").mkdir(parents=True)
    shutil.copy2(getattr(sys, "_base_executable", sys.executable), target / "bin" / "python3")
    left_out = shutil.ignore_patterns(
        "site-packages", "dist-packages", "test", "tests", "__pycache__", "idlelib", "config-*"
    )
    stdlib = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(stdlib, target / "lib" / version, ignore=left_out)
    libraries = Path(sysconfig.get_config_var("LIBDIR") or "/nonexistent")
    for library in libraries.glob("libpython3*.so*"):
        shutil.copy2(library, target / "lib")
    made = subprocess.run(
        [target / "bin" / "python3", "-m", "ensurepip"], capture_output=True, check=False,
        env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": f"{target}/lib"},
    )  # fmt: skip
    if made.returncode:
        _unless_required(f"this Python cannot install pip: {made.stderr.decode()[-300:]}")
    (target / "bin" / "pip").write_text('#!/bin/sh\nexec python3 -m pip "$@"\n')
    (target / "bin" / "pip").chmod(0o755)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Not below pytest's own folder, which the container's user may not enter."""
    root = Path(tempfile.mkdtemp(prefix="whygate-image-"))
    root.chmod(0o755)
    try:
        made = Image(root)
        made.build()
        made.seal()
        yield made
    finally:
        subprocess.run(["chmod", "-R", "u+w", root], check=False)
        shutil.rmtree(root)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Container:
    """The service, started."""

    image: Image
    env: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def url(self, listener: str) -> str:
        return f"http://127.0.0.1:{self.env[f'WHYGATE_{listener}__ADDRESS'].rpartition(':')[2]}"

    def healthy(self) -> bool:
        """Run the health check as it is written."""
        kind, *command = SERVICE["healthcheck"]["test"]
        assert kind == "CMD"
        command = self.image.without_rights(command)
        done = subprocess.run(
            command, cwd=self.image.workdir, env=self.env, capture_output=True, timeout=10, check=False
        )
        return done.returncode == 0


@dataclass
class RedisContainer:
    """The service beside it, started."""

    port: int
    env: dict[str, str]
    process: subprocess.Popen[bytes]

    def healthy(self) -> bool:
        """Run the health check as it is written, but for the port."""
        kind, command = SERVICES["redis"]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        command = command.replace("redis-cli", f"redis-cli -p {self.port}")
        return subprocess.run(["sh", "-c", command], env=self.env, capture_output=True, check=False).returncode == 0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisContainer]:
    """The command of the file with a port that is free here, for this machine alone."""
    require_tool("redis-server", "apt-get install redis-server")
    port = free_port()
    shell, option, script = (interpolated(word, GIVEN) for word in SERVICES["redis"]["command"])
    assert script.count("redis-server - ") == 1
    script = script.replace("redis-server - ", f"redis-server - --port {port} --bind 127.0.0.1 ")
    env = {"PATH": "/usr/bin:/bin"} | environment(GIVEN, "redis")
    with (tmp_path / "redis.log").open("wb") as log:
        process = subprocess.Popen([shell, option, script], env=env, stdout=log, stderr=log, start_new_session=True)
    made = RedisContainer(port, env, process)
    try:
        GatewayProcess.until(made.healthy, READY_SECONDS)
        yield made
    finally:
        process.kill()
        process.wait(5)


@pytest.fixture
def container(image: Image, upstream: RawUpstream, redis: RedisContainer, tmp_path: Path) -> Iterator[Container]:
    """The command of the image under the environment of the file, on ports that are free here."""
    providers = json.dumps([{"name": "openai", "upstream": f"http://127.0.0.1:{upstream.port}"}])
    env = image.environment() | environment(GIVEN | {"WHYGATE_PROVIDERS": providers})
    assert "@redis:6379/" in env["WHYGATE_TEAM__REDIS"]
    env["WHYGATE_TEAM__REDIS"] = env["WHYGATE_TEAM__REDIS"].replace("redis:6379", f"127.0.0.1:{redis.port}")
    env["WHYGATE_STATE"] = str(image.inside(env["WHYGATE_STATE"]))
    for listener in ("LISTEN", "PAGE"):
        name = f"WHYGATE_{listener}__ADDRESS"
        env[name] = env[name].replace(env[name].rpartition(":")[2], str(free_port()))
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            image.without_rights(image.command),
            cwd=image.workdir,
            env=env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    made = Container(image, env, process, log)
    try:
        yield made
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(5)


@pytest.fixture
def upstream() -> Iterator[RawUpstream]:
    made = RawUpstream()
    yield made
    made.close()


@pytest.mark.timeout(300)
def test_its_commands_build_run_check_and_end_the_gateway(container: Container, upstream: RawUpstream) -> None:
    image, sending = container.image, threading.Event()

    async def slowly(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            b'data: {"choices":[{"delta":{"content":"one"},"index":0,"finish_reason":null}]}\n\n'
        )
        await writer.drain()
        sending.set()
        await asyncio.sleep(1.5)
        writer.write(b'data: {"choices":[{"delta":{},"index":0,"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
        await writer.drain()
        writer.close()

    path = f"/openai{upstream.on(slowly)}"
    GatewayProcess.until(lambda: container.healthy() or container.process.poll() is not None, READY_SECONDS)
    assert container.process.poll() is None, container.log.read_text()

    _who_it_runs_as(container)
    _what_it_can_write(container)
    with httpx2.Client(trust_env=False, timeout=20) as app:
        for url, headers in ((path, {}), (f"/~{TOKEN}x{path}", {}), (path, {"x-whygate-token": PAGE_TOKEN})):
            refused = app.post(container.url("LISTEN") + url, json={"stream": True}, headers=headers)
            assert (refused.status_code, refused.headers["x-whygate-cause"]) == (401, "proxy.unauthorized")
        assert app.get(container.url("PAGE") + "/api/flows").status_code == 401
        _what_it_tells_prometheus(app, container)
        told: list[str] = []

        def ask() -> None:
            with app.stream("POST", f"{container.url('LISTEN')}/~{TOKEN}{path}", json={"stream": True}) as answer:
                told.append(f"{answer.status_code} {answer.read().decode()}")

        asking = threading.Thread(target=ask)
        asking.start()
        assert sending.wait(10)
        container.process.send_signal(signal.SIGTERM)
        asking.join(20)
        assert told[0].startswith("200 ")
        assert told[0].rstrip().endswith("data: [DONE]")
    assert container.process.wait(10) == 0, container.log.read_text()
    assert not container.healthy()
    _what_it_has_printed(container)
    bundle = (image.workdir / "ca" / "bundle.pem").read_text()
    assert (image.workdir / "state" / "ca.pem").read_text().strip() in bundle
    assert "PRIVATE KEY" not in bundle


def _what_it_tells_prometheus(app: httpx2.Client, container: Container) -> None:
    """It asks under the service's name, with the page's token."""
    headers = {"host": "whygate:8081", "authorization": f"Bearer {PAGE_TOKEN}"}
    held = app.get(container.url("PAGE") + "/api/cache", headers=headers).raise_for_status().json()
    assert (held["backend"], held["degraded"]) == ("redis", None)


def _what_it_has_printed(container: Container) -> None:
    log = container.log.read_text()
    assert "whygate is ready" in log
    assert TOKEN not in log
    assert REDIS_PASSWORD not in log
    assert "Redis cannot be used" not in log


def _who_it_runs_as(container: Container) -> None:
    status = Path(f"/proc/{container.process.pid}/status").read_text()
    if not os.geteuid():
        assert f"Uid:\t{container.image.user.split(':')[0]}\t" in status
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status


def _what_it_can_write(container: Container) -> None:
    """Nothing but its volumes; the private one is for it alone."""
    image = container.image
    places = f"{image.workdir} {image.workdir}/.venv {image.workdir}/gateway {image.workdir}/state {image.workdir}/ca"
    words = ["sh", "-c", f"for place in {places}; do test -w $place && echo $place; done; true"]
    found = subprocess.run(image.without_rights(words), capture_output=True, text=True, check=True, env=container.env)
    assert found.stdout.split() == [f"{image.workdir}/state", f"{image.workdir}/ca"]
    assert (image.workdir / "state").stat().st_mode & 0o777 == 0o700
    assert {file.name for file in (image.workdir / "ca").iterdir()} == {"bundle.pem"}


@pytest.mark.parametrize("missing", GIVEN)
def test_it_says_what_is_missing(missing: str) -> None:
    with pytest.raises(LookupError) as caught:
        environment({name: value for name, value in GIVEN.items() if name != missing})
    assert caught.value.args[0] == missing
    assert ".env" in caught.value.args[1]


def test_what_it_sets_is_a_setting() -> None:
    """Every variable is read, and with nothing else given they are as the comments say."""
    from gateway.settings import load

    settings = load(None, environment(GIVEN))
    assert (settings.listen.secret, settings.page.secret) == (TOKEN, PAGE_TOKEN)
    assert settings.listen.address.is_everywhere
    assert settings.listen.allow_hosts == ()
    assert settings.team.redis is not None
    assert urlsplit(settings.team.redis.get_secret_value()).password == REDIS_PASSWORD
    more = load(None, environment(GIVEN | {"WHYGATE_ALLOW_HOSTS": "a.example,*.b.example:8443"}))
    assert more.listen.allow_hosts == ("a.example", "*.b.example:8443")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    # compose cannot put a file that is not on the host into a read-only container (docker/compose#12031)
    inline = any("content" in FILE["configs"][config["source"]] for config in service.get("configs", ()))
    assert service["read_only"] is not inline
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert int(service["user"].split(":")[0]) >= 400, "not root"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert {volume.split(":")[0] for volume in service.get("volumes", ())} <= set(FILE["volumes"])
    assert not {"privileged", "pid", "cap_add"} & set(service)
    assert service.get("network_mode") in {None, "service:whygate"}
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]


def test_images_are_named_by_exact_version() -> None:
    images = {name: interpolated(service["image"], {}) for name, service in SERVICES.items()}
    assert images.pop("whygate") == images.pop("provider") == "whygate"
    assert SERVICES["whygate"]["build"] == SERVICES["provider"]["build"]
    assert set(images) == {"redis", "prometheus", "grafana"}
    assert all(re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+(-alpine)?", image) for image in images.values()), images


def test_the_gateway_alone_reaches_redis_and_profiles_are_asked_for() -> None:
    near = {name: set(service.get("networks", ())) for name, service in SERVICES.items()}
    assert [name for name, networks in near.items() if "redis" in networks] == ["whygate", "redis"]
    assert near["redis"] == {"redis"}
    assert near["prometheus"] == {"figures"}
    assert FILE["networks"]["redis"]["internal"] is FILE["networks"]["figures"]["internal"] is True
    assert "ports" not in SERVICES["redis"]
    by_default = [name for name, service in SERVICES.items() if "profiles" not in service]
    assert by_default == ["whygate", "redis"]
    assert {service["profiles"][0] for service in SERVICES.values() if "profiles" in service} == {"observe", "demo"}


def test_redis_keeps_twice_the_cache_and_nothing_on_disk(redis: RedisContainer) -> None:
    from gateway.settings import load

    with Redis(port=redis.port, password=REDIS_PASSWORD) as client:
        found: dict[str, str] = client.config_get("*")
    assert found["save"] == ""
    assert (found["appendonly"], found["maxmemory-policy"]) == ("no", "noeviction")
    assert int(found["maxmemory"]) >= 2 * load(None, environment(GIVEN)).cache.max_bytes
    with Redis(port=redis.port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    assert REDIS_PASSWORD not in Path(f"/proc/{redis.process.pid}/cmdline").read_text()
    redis.env["REDISCLI_AUTH"] = "another"
    assert not redis.healthy()


def test_the_simulated_provider_runs_as_the_file_says(tmp_path: Path) -> None:
    port = free_port()
    program, *words = SERVICES["provider"]["command"]
    assert program == ".venv/bin/whygate"
    words = [word.replace("9080", str(port)) for word in words]
    kind, _, *check = SERVICES["provider"]["healthcheck"]["test"]
    assert kind == "CMD"
    check = [sys.executable, *(word.replace("9080", str(port)) for word in check)]
    process = subprocess.Popen([sys.executable, "-m", "gateway", *words], cwd=ROOT, env=CLEAN, start_new_session=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def healthy() -> bool:
        return subprocess.run(check, env=CLEAN, capture_output=True, check=False).returncode == 0

    try:
        GatewayProcess.until(healthy, READY_SECONDS)
    finally:
        process.kill()
        process.wait(5)
    assert not healthy()


def test_prometheus_asks_the_page_with_its_token() -> None:
    text = interpolated(FILE["configs"]["prometheus"]["content"], GIVEN)
    (job,) = YAML(typ="safe", pure=True).load(text)["scrape_configs"]
    assert job["authorization"] == {"type": "Bearer", "credentials": PAGE_TOKEN}
    (host, _, port) = job["static_configs"][0]["targets"][0].partition(":")
    env = environment(GIVEN)
    assert (host, port) == ("whygate", env["WHYGATE_PAGE__ADDRESS"].rpartition(":")[2])
    assert host in env["WHYGATE_PAGE__ALLOWED_HOSTS"].split(",")


def test_running_answers_have_the_time_that_the_settings_give_them() -> None:
    from gateway.settings import load

    assert int(SERVICE["stop_grace_period"].rstrip("s")) > load(None, {}).listen.drain_seconds


def test_the_recipe_takes_what_git_has_and_the_ignore_file_lets_through() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for name, rest in instructions() if name == "COPY" for word in rest.split()[:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    """Hold a file against the specification's own schema; whoever asks the network for it meets a closed door."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=CLEAN | nowhere)


def test_the_file_is_what_the_specification_allows() -> None:
    done = checked(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("service", {}),
        ("services.whygate.memory_limit", "1g"),
        ("services.whygate.build.dockerfile_inlined", "FROM scratch"),
        ("services.whygate.security_opt", "no-new-privileges:true"),
        ("services.whygate.healthcheck.interval", 10),
        ("services.whygate.depends_on.redis.condition", ["service_healthy"]),
        ("services.prometheus.profiles", "observe"),
        ("services.prometheus.configs", [{"source": "prometheus", "path": "/etc/prometheus/prometheus.yml"}]),
        ("networks.redis.internal", ["true"]),
        ("configs.prometheus.content", {"global": {}}),
        ("volumes.state.driver_options", {}),
    ],
)
def test_a_word_that_the_specification_does_not_know_is_found(path: str, value: Any, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(FILE))
    *way, last = path.split(".")
    table = broken
    for name in way:
        table[name] = table[name] or {}
        table = table[name]
    table[last] = value
    (tmp_path / "docker-compose.yml").write_text(json.dumps(broken))  # JSON is YAML
    done = checked(tmp_path / "docker-compose.yml")
    assert done.returncode == 1
    assert way[-1] in done.stdout if way else last in done.stdout


def test_the_client_reads_the_file() -> None:
    """With Docker's own parser, where the plugin is installed; it needs no engine."""
    docker = require_tool("docker", "https://docs.docker.com/engine/install/")
    there = subprocess.run([docker, "compose", "version"], capture_output=True, check=False, env=CLEAN).returncode == 0
    if not there:
        pytest.skip("docker has no compose plugin here: apt-get install docker-compose-plugin")
    command = [docker, "compose", "-f", str(ROOT / "docker-compose.yml"), "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=True, env=CLEAN | GIVEN)
    assert json.loads(done.stdout)["services"]["whygate"]["read_only"] is True
    assert subprocess.run(command, capture_output=True, check=False, env=CLEAN).returncode
