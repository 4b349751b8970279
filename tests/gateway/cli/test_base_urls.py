"""Base URL variables: what a user chose keeps its meaning, and its calls are read all the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.adopting import Adopted
from gateway.cli.base_urls import BEFORE, Given, add_base_urls, variable_names
from gateway.cli.dotenv import named_in_files
from gateway.cli.environment import Changes
from gateway.cli.known import is_known, providers
from gateway.state import Runtime

HERE = "http://127.0.0.1:8765"
RUNTIME = Runtime(pid=1, listen="127.0.0.1:8765", page="127.0.0.1:1", token="t", started_at="")
OLD = Adopted()


def gateway(url: str) -> Adopted:
    """What a gateway would say."""
    host, _, path = url.partition("://")[2].rstrip("/").partition("/")
    own = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
    return Adopted(path=f"/{own.get(host, host.replace(':', '-'))}" + (f"/{path}" if path else ""))


def changed(adopt: Callable[[str], Adopted] = gateway, **given: object) -> Changes:
    changes = Changes()
    add_base_urls(changes, RUNTIME, Given(**{"env": {}} | given), adopt)  # type: ignore[arg-type]
    return changes


def test_every_provider_with_one_address_gets_its_variable() -> None:
    variables = changed().variables
    assert variables["OPENAI_BASE_URL"] == f"{HERE}/openai/v1"
    assert variables["ANTHROPIC_BASE_URL"] == f"{HERE}/anthropic"
    one_address = [p for p in providers() if len(p.hosts) == 1 and not p.hosts[0].startswith("*")]
    names = {p.base_url_variables[0] for p in one_address if p.base_url_variables}
    assert set(variables) == names - {"GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL"}
    assert "AZURE_OPENAI_ENDPOINT" not in variables


def test_a_gateway_with_a_token_has_it_in_every_base_url_and_knows_its_own_again() -> None:
    """Also in a terminal that took its variables from the gateway when it had another token, or none."""
    locked = replace(RUNTIME, listen_token="a-long-random-text")
    home = f"{HERE}/~a-long-random-text"
    for before in ("", "http://127.0.0.1:1/~an-older-random-text/openai/v1", f"{HERE}/openai/v1", f"{home}/openai/v1"):
        changes = Changes()
        proxies = {"HTTPS_PROXY": "http://whygate:an-older-random-text@127.0.0.1:1"}
        env = {"OPENAI_BASE_URL": before, "OPENAI_API_BASE": "https://relay.example/v1", **proxies}
        add_base_urls(changes, locked, Given(env), gateway)
        assert changes.variables["OPENAI_API_BASE"] == f"{home}/relay.example/v1"
        assert changes.variables["ANTHROPIC_BASE_URL"] == f"{home}/anthropic"
        assert changes.variables.get("OPENAI_BASE_URL", home) in {home, f"{home}/openai/v1"}
        assert not [note for note in changes.notes if "random-text" in note]


def test_a_relay_is_led_through_the_gateway_and_said_in_one_line() -> None:
    changes = changed(env={"OPENAI_BASE_URL": "https://relay.example/v1/"})
    assert changes.variables["OPENAI_BASE_URL"] == f"{HERE}/relay.example/v1/"
    assert changes.notes == [
        "OPENAI_BASE_URL now leads to relay.example through the gateway; calls to it are read like any other."
    ]


@pytest.mark.parametrize("name", ["OPENAI_API_BASE", "OPENAI_BASE_URL"])
def test_a_server_on_this_machine_is_led_through_the_gateway(name: str) -> None:
    """NO_PROXY would let its calls go past."""
    changes = changed(env={name: "http://localhost:11434/v1"})
    assert changes.variables[name] == f"{HERE}/localhost-11434/v1"
    assert ("OPENAI_BASE_URL" in changes.variables) == (name == "OPENAI_BASE_URL")


def test_each_host_of_a_provider_is_led_to_where_the_gateway_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is good for one of them, so nothing is set where nothing was."""
    two = replace(
        providers()[0], name="two", hosts=("api.two.example", "api.two.cn"), base_url_variables=("TWO_BASE_URL",)
    )
    for module in ("base_urls", "known"):
        monkeypatch.setattr(f"gateway.cli.{module}.providers", lambda: (two,))
    assert changed().variables == {}
    first, second = ({"TWO_BASE_URL": f"https://{host}"} for host in two.hosts)
    assert changed(lambda _: Adopted(path="/two"), env=first).variables["TWO_BASE_URL"] == f"{HERE}/two"
    named = changed(lambda _: Adopted(path="/two/api.two.cn"), env=second)
    assert named.variables["TWO_BASE_URL"] == f"{HERE}/two/api.two.cn"


def test_all_names_of_one_choice_are_led_through() -> None:
    env = {"OPENAI_BASE_URL": "https://a.example/v1", "OPENAI_API_BASE": "https://b.example/v1"}
    variables = changed(env=env).variables
    assert variables["OPENAI_BASE_URL"] == f"{HERE}/a.example/v1"
    assert variables["OPENAI_API_BASE"] == f"{HERE}/b.example/v1"


def test_the_providers_own_address_needs_no_word() -> None:
    changes = changed(env={"ANTHROPIC_BASE_URL": "https://api.anthropic.com"})
    assert changes.variables["ANTHROPIC_BASE_URL"] == f"{HERE}/anthropic"
    assert changes.notes == []


@pytest.mark.parametrize(
    "value",
    [
        "https://me:hunter2@relay.example/v1",
        "https://hunter2@relay.example/v1",
        "relay.example/hunter2",
        "http://[hunter2",
    ],
)
def test_what_cannot_be_led_through_stays_and_no_secret_is_shown(value: str) -> None:
    asked: list[str] = []
    changes = changed(lambda url: asked.append(url) or OLD, env={"OPENAI_BASE_URL": value})  # type: ignore[func-returns-value]
    assert "OPENAI_BASE_URL" not in changes.variables
    assert [note for note in changes.notes if "OPENAI_BASE_URL stays as it is: " in note] == changes.notes != []
    assert "hunter2" not in str(changes)
    assert asked == []


def test_what_the_gateway_refuses_stays_with_its_reason() -> None:
    changes = changed(
        lambda _: Adopted(refusal="It has a query."), env={"OPENAI_BASE_URL": "https://r.example/v1?k=hunter2"}
    )
    assert changes.notes == ["OPENAI_BASE_URL stays as it is: It has a query."]
    assert "OPENAI_BASE_URL" not in changes.variables


def test_an_older_gateway_leaves_everything_as_it_was() -> None:
    env = {"OPENAI_BASE_URL": "https://relay.example/v1", "ANTHROPIC_BASE_URL": "https://api.anthropic.com"}
    changes = changed(lambda _: OLD, env=env)
    assert not {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"} & set(changes.variables)
    (note,) = changes.notes
    assert note.startswith("OPENAI_BASE_URL stays as it is; calls to relay.example pass through unread")
    assert "[[providers]]" in note


def test_with_no_base_url_variables_stay_and_the_relay_is_read_by_proxy() -> None:
    asked: list[str] = []
    env = {"OPENAI_BASE_URL": "https://relay.example/v1", "ANTHROPIC_BASE_URL": "http://127.0.0.1:4000"}
    changes = changed(lambda url: asked.append(url) or gateway(url), env=env, leave_alone=True)  # type: ignore[func-returns-value]
    assert changes.variables == {}
    assert asked == ["https://relay.example/v1"]
    assert sorted(changes.notes) == [
        "ANTHROPIC_BASE_URL stays as it is; calls to 127.0.0.1 go past the gateway. Leave out --no-base-url to have them read.",
        "OPENAI_BASE_URL stays as it is; calls to relay.example are read when they take the proxy.",
    ]


def test_a_terminal_that_took_our_variables_takes_them_again() -> None:
    """Also from a gateway that has forgotten the relay, and from one at another address."""
    env = {"OPENAI_BASE_URL": "https://relay.example/v1", "ANTHROPIC_API_BASE": "https://api.anthropic.com"}
    first = changed(env=env)
    again = changed(env=env | first.variables)
    assert again.variables == first.variables
    assert again.notes == first.notes
    elsewhere = {name: value.replace("8765", "9999") for name, value in first.variables.items()}
    elsewhere["HTTPS_PROXY"] = "http://127.0.0.1:9999"
    assert changed(env=env | elsewhere).variables == first.variables
    assert first.variables["OPENAI_BASE_URL" + BEFORE] == "https://relay.example/v1"


def test_a_path_of_ours_that_the_user_wrote_stays() -> None:
    changes = changed(env={"OPENAI_BASE_URL": f"{HERE}/azure/contoso/openai/v1"})
    assert "OPENAI_BASE_URL" not in changes.variables
    assert changes.notes == []


@pytest.mark.parametrize("sign", ["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"])
@pytest.mark.parametrize("place", ["env", "in_files"])
def test_who_uses_azure_gets_no_base_url_of_openai(sign: str, place: str) -> None:
    """The openai package for Node.js would send Azure's key there."""
    given = {place: {sign: "https://contoso.openai.azure.com"}}
    variables = changed(env=given.get("env", {}), in_files=given.get("in_files", {})).variables
    assert "OPENAI_BASE_URL" not in variables
    assert "ANTHROPIC_BASE_URL" in variables


@pytest.mark.parametrize(("program", "name"), [("codex", "OPENAI_BASE_URL"), ("claude", "ANTHROPIC_BASE_URL")])
def test_programs_with_a_way_of_their_own_keep_it(program: str, name: str) -> None:
    variables = changed(program=program).variables
    assert name not in variables
    assert {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"} & set(variables)
    for own in ("https://api.openai.com/v1", "https://api.anthropic.com"):
        assert name not in changed(program=program, env={name: own}).variables
    relay = changed(program=program, env={name: "https://relay.example/v1"}).variables
    assert relay[name] == f"{HERE}/relay.example/v1"


def test_a_base_url_in_a_file_is_never_written_over() -> None:
    """Variables win over files: the relay's key would go to the provider."""
    changes = changed(
        in_files={"OPENAI_API_BASE": "https://relay.example/v1", "ANTHROPIC_BASE_URL": "http://localhost:4000"}
    )
    assert not {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"} & set(changes.variables)
    assert sorted(changes.notes) == [
        "ANTHROPIC_BASE_URL in .env stays as it is; calls to localhost go past the gateway. Set it in the terminal to have them read.",
        "OPENAI_API_BASE in .env stays as it is; calls to relay.example are read when they take the proxy.",
    ]


def test_files_are_found_where_the_usual_libraries_look(tmp_path: Path) -> None:
    app = tmp_path / "services" / "app"
    app.mkdir(parents=True)
    (app / "main.py").touch()
    (tmp_path / "services" / ".env").write_text(
        "# OPENAI_API_HOST=no\nexport OPENAI_BASE_URL='https://relay.example/v1' # ours\nOPENAI_API_KEY=sk-1\n"
        "ANTHROPIC_BASE_URL=http://localhost:1 # local\nOPENAI_API_BASE=\n"
    )
    expected = {"OPENAI_BASE_URL": "https://relay.example/v1", "ANTHROPIC_BASE_URL": "http://localhost:1"}
    names = variable_names()
    assert named_in_files((), app, names) == expected
    assert named_in_files(("python", "services/app/main.py"), tmp_path, names) == expected
    assert named_in_files(("python", "-c", "x" * 10_000, "a\0b"), tmp_path, names) == {}


def test_hosts_are_known_with_all_below_them() -> None:
    assert is_known("api.openai.com")
    assert not is_known("openai.com.evil.example")
