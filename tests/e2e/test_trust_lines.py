"""Every line that the page of trust shows is run as it stands there, with the runtime that it is for.

The gateway is one that others reach, with a token; the programs know nothing but those lines.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import httpx2
import pytest

from tests.e2e.world import Provider
from tests.running import CLEAN, GatewayProcess, config_for
from tests.tools import require_tool

TOKEN = "canary-of-the-trusting-listener-01"
PAGE_TOKEN = "canary-of-the-trusting-page-0123"
NODE_MODULES = Path(__file__).parent / "runtimes" / "node" / "node_modules"
NOT_RUN = {"java-image", "alpine", "docker"}
"""What changes the machine, or needs Docker. Their certificate, checksum and address are those of lines that are run."""

OPENAI = "import openai; print(len(openai.OpenAI(max_retries=0).models.list().data), 'models')"
JAVA = """
import java.net.*;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        Authenticator.setDefault(new Authenticator() {
            protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication("whygate", "%s".toCharArray());
            }
        });
        var connection = new URL("https://api.openai.com/v1/models").openConnection();
        connection.setRequestProperty("authorization", "Bearer " + System.getenv("OPENAI_API_KEY"));
        System.out.println(new String(connection.getInputStream().readAllBytes()));
    }
}
"""
GO = """
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	request, _ := http.NewRequest("GET", "https://api.openai.com/v1/models", nil)
	request.Header.Set("authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, answer.Body)
}
"""
RUBY = """
require "net/http"
uri = URI("https://api.openai.com/v1/models")
puts Net::HTTP.get(uri, { "authorization" => "Bearer #{ENV["OPENAI_API_KEY"]}" })
"""
AXIOS = """
const axios = require("axios");
const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
axios.get("https://api.openai.com/v1/models", { headers }).then((answer) => console.log(JSON.stringify(answer.data)));
"""
FETCH = """
const headers = { authorization: `Bearer ${process.env.OPENAI_API_KEY}` };
fetch(`${process.env.OPENAI_BASE_URL}/models`, { headers }).then(async (answer) => console.log(await answer.text()));
"""


class Lines(HTMLParser):
    """Collects what stands in each block of lines."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._name = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "pre":
            self._name = dict(attrs)["id"] or ""
            self.found[self._name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._name = ""

    def handle_data(self, data: str) -> None:
        if self._name:
            self.found[self._name] += data


class Shown:
    """A gateway that others reach, and what its page of trust shows."""

    def __init__(self, gateway: GatewayProcess, provider: Provider) -> None:
        self.gateway, self.provider = gateway, provider
        page = httpx2.get(f"http://{gateway.runtime['page']}/trust", trust_env=False).raise_for_status().text
        assert TOKEN not in page
        self.page, self.lines = page, Lines(page).found

    def run(self, directory: Path, *names: str, program: str, **env: str) -> str:
        """Run blocks of lines, then a program in the same shell; give what it prints."""
        # What a reader does: put the token in its place.
        script = "\n".join(["set -eu", *(self.lines[name].replace("TOKEN", TOKEN) for name in names), program])
        path = f"{Path(sys.executable).parent}{os.pathsep}{CLEAN['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=directory, capture_output=True, text=True, timeout=120, check=False,
            env=CLEAN | {"PATH": path, "OPENAI_API_KEY": "sk-proj-canary-trust-" + "z" * 24} | env,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def calls(self) -> int:
        """Give how many calls for the models have come through."""
        answer = httpx2.get(
            f"http://{self.gateway.runtime['page']}/api/flows?limit=500",
            headers={"authorization": f"Bearer {PAGE_TOKEN}"},
            trust_env=False,
        )
        return sum(row["path"].endswith("/v1/models") and row["status"] == 200 for row in answer.json()["flows"])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    provider = Provider()
    settings = f'[listen]\ntoken = "{TOKEN}"\n[page]\ntoken = "{PAGE_TOKEN}"\n'
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("trust"), config_for(provider.port, settings), "--listen", "0.0.0.0:0"
    )
    try:
        yield Shown(gateway, provider)
    finally:
        gateway.stop()
        provider.close()


def comes_through(shown: Shown, directory: Path, *names: str, program: str, **env: str) -> str:
    before = shown.calls()
    said = shown.run(directory, *names, program=program, **env)
    shown.gateway.until(lambda: shown.calls() == before + 1, 5)
    return said


def test_the_fingerprint_that_openssl_prints_is_the_one_on_the_page(shown: Shown, tmp_path: Path) -> None:
    require_tool("openssl", "apt-get install openssl")
    said = shown.run(tmp_path, "fetch", program="")
    (fingerprint,) = re.findall(r'id="fingerprint">([0-9A-F:]{95})<', shown.page)
    assert said.strip().rpartition("=")[2] == fingerprint
    assert (tmp_path / "whygate-ca.pem").read_bytes() == shown.gateway.ca.read_bytes()


@pytest.mark.parametrize("module", ["openai", "requests", "httpx2", "httpx"])
def test_python(shown: Shown, tmp_path: Path, module: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: uv pip install {module}")
    asked = f"import os, {module}\nkey = {{'authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']}}\n"
    asked += f"print({module}.get('https://api.openai.com/v1/models', headers=key).raise_for_status())"
    program = OPENAI if module == "openai" else asked
    comes_through(shown, tmp_path, "fetch", "proxy", "python", program=f"python3 -c {shlex.quote(program)}")


def test_python_by_base_url_needs_no_certificate(shown: Shown, tmp_path: Path) -> None:
    comes_through(shown, tmp_path, "base", program=f"python3 -c {shlex.quote(OPENAI)}")


def test_node(shown: Shown, tmp_path: Path) -> None:
    require_tool("node", "apt-get install nodejs")
    if not (NODE_MODULES / "axios").exists():
        pytest.skip("axios is not installed: bash tests/e2e/runtimes/install")
    program = f"node -e {shlex.quote(AXIOS)}"
    said = comes_through(shown, tmp_path, "fetch", "proxy", "node", program=program, NODE_PATH=str(NODE_MODULES))
    assert '"gpt-4o' in said


def test_node_fetch_reads_the_proxy_from_the_versions_on_that_the_page_names(shown: Shown, tmp_path: Path) -> None:
    """An older one takes the base URL, as the page says."""
    node = require_tool("node", "apt-get install nodejs")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    if (major, minor) >= (24, 0) or (major == 22 and minor >= 21):
        program = FETCH.replace("${process.env.OPENAI_BASE_URL}", "https://api.openai.com/v1")
        comes_through(shown, tmp_path, "fetch", "proxy", "node", program=f"node -e {shlex.quote(program)}")
    comes_through(shown, tmp_path, "base", program=f"node -e {shlex.quote(FETCH)}")


def test_java(shown: Shown, tmp_path: Path) -> None:
    require_tool("keytool", "apt-get install default-jdk-headless")
    require_tool("java", "apt-get install default-jdk-headless")
    (tmp_path / "Ask.java").write_text(JAVA % TOKEN)
    said = comes_through(shown, tmp_path, "fetch", "java", program="java Ask.java")
    assert '"gpt-4o' in said


def test_go(shown: Shown, tmp_path: Path) -> None:
    require_tool("go", "apt-get install golang-go")
    (tmp_path / "ask.go").write_text(GO)
    program = "SSL_CERT_FILE= go build -o ask ask.go && ./ask"
    said = comes_through(
        shown, tmp_path, "fetch", "proxy", "system", program=program, GOFLAGS="-mod=mod", GOPROXY="off"
    )
    assert '"gpt-4o' in said


def test_ruby(shown: Shown, tmp_path: Path) -> None:
    require_tool("ruby", "apt-get install ruby")
    said = comes_through(shown, tmp_path, "fetch", "proxy", "system", "ruby", program=f"ruby -e {shlex.quote(RUBY)}")
    assert '"gpt-4o' in said


def test_curl(shown: Shown, tmp_path: Path) -> None:
    require_tool("curl", "apt-get install curl")
    assert '"gpt-4o' in comes_through(shown, tmp_path, "fetch", "curl", program="")


@pytest.mark.parametrize("image", ["debian", "alpine"])
def test_what_goes_into_an_image_is_this_certificate(shown: Shown, tmp_path: Path, image: str) -> None:
    """The lines of both, as far as they can be run outside of one: what ADD fetches, and what is made of it."""
    tool = shutil.which("update-ca-certificates") or require_tool(
        "update-ca-certificates", "apt-get install ca-certificates"
    )
    lines = shown.lines[image]
    added = re.search(r"^ADD --checksum=sha256:([0-9a-f]{64}) (\S+) (\S+)$", lines, re.MULTILINE)
    assert added is not None
    content = httpx2.get(added[2], trust_env=False).raise_for_status().content
    assert hashlib.sha256(content).hexdigest() == added[1]
    local, made = tmp_path / "local", tmp_path / "etc"
    local.mkdir()
    made.mkdir()
    (local / Path(added[3]).name).write_bytes(content)
    (ran,) = re.findall(r"^RUN chmod 644 \S+ && (.*)$", lines, re.MULTILINE)
    command = ran.replace("update-ca-certificates", f"{tool} --localcertsdir {local} --etccertsdir {made} --fresh")
    subprocess.run(["bash", "-c", command], check=True, capture_output=True, timeout=120)
    variables = dict(re.findall(r"(\w+)=(\S+)", "\n".join(re.findall(r"^ENV (.*)$", lines, re.MULTILINE))))
    bundle = made / Path(variables["SSL_CERT_FILE"]).name
    assert variables["REQUESTS_CA_BUNDLE"] == variables["SSL_CERT_FILE"]
    assert variables["NODE_EXTRA_CA_CERTS"] == added[3]
    program = 'curl -fsS -H "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/v1/models'
    assert '"gpt-4o' in comes_through(shown, tmp_path, "proxy", program=program, CURL_CA_BUNDLE=str(bundle))


def test_no_block_of_lines_is_left_out(shown: Shown) -> None:
    known = {"base", "fetch", "proxy", "python", "node", "java", "system", "ruby", "curl", "debian"}
    assert set(shown.lines) == known | NOT_RUN
    assert re.search(r"-e HTTPS_PROXY=http://whygate:TOKEN@\S+:\d+ ", shown.lines["docker"])
