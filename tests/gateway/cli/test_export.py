"""`whygate export` and `whygate bundle`, as a person types them."""

import json
import os
import resource
import stat
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.diagnose.engine import diagnose
from gateway.diagnose.evidence import Evidence
from gateway.diagnose.say import say
from gateway.model.attempt import ReplyHead
from gateway.model.call import Mode, Origin
from gateway.model.cause import Cause
from gateway.model.failure import NetCode, NetFailure, Phase
from gateway.providers.openai import PROVIDER as OPENAI
from gateway.record.recorder import Recorder
from gateway.state import Runtime
from tests.gateway.cli.conftest import Whygate
from tests.gateway.record.made import a_call, a_concluded, a_diagnosis, a_failed_attempt, a_failed_outcome, a_live
from tests.gateway.show.served import TOKEN, serve_page

SECRET = "correct-horse-battery"
KEY = "sk-proj-canary-0123456789abcdef"


class Clock:
    """The real one: ages are counted from now."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


def log_call(recorder: Recorder, *, failed: bool = False, body: bytes = b'{"error":{}}', **changes: Any) -> str:
    """Put one finished call into the log; give its id."""
    headers = ((b"user-agent", b"OpenAI/Python 3.54.0"), (b"authorization", b"Bearer " + KEY.encode()))
    call = a_call(arrived_at=time.time(), headers=headers, body=b'{"messages": "a prompt"}', **changes)
    live = a_live(call)
    told: dict[str, Any] = {"diagnosis": a_diagnosis(), "outcome": a_failed_outcome(body, cf_ray="8abc-FRA")}
    recorder.opened(live)
    recorder.closed(live, a_concluded(call, **(told if failed else {})))
    return call.id


@pytest.fixture
def log(whygate: Whygate) -> Iterator[Recorder]:
    """A log that a test fills; it is closed before the command line reads it."""
    whygate.state.fingerprint_key()
    recorder = Recorder(whygate.state.flows_db, Clock())
    recorder.start()
    yield recorder
    recorder.close()


@pytest.fixture
def filled(log: Recorder) -> dict[str, list[str]]:
    """30 good calls, a failure, 3 good ones, a failure."""
    good = [log_call(log) for _ in range(30)]
    bad = [log_call(log, failed=True)]
    good += [log_call(log) for _ in range(3)]
    bad.append(log_call(log, failed=True, body=b'{"error":{"message":"the second"}}'))
    log.close()
    return {"good": good, "bad": bad}


def ids_in(text: str) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


def unpacked(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def only_the_error(done: subprocess.CompletedProcess[str], what: str, code: int) -> None:
    assert done.returncode == code, done.stderr
    assert what in done.stderr
    assert "Traceback" not in done.stderr
    assert "  do     " in done.stderr
    assert len(done.stderr.splitlines()) < 24


@pytest.mark.parametrize("verb", ["export", "bundle"])
def test_help_has_an_example(whygate: Whygate, verb: str) -> None:
    done = whygate(verb, "--help")
    assert f"Example:  whygate {verb}" in done.stdout


def test_calls_go_to_a_file_as_har_and_as_json_lines(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    har, jsonl = whygate.cwd / "a.har", whygate.cwd / "a.jsonl"
    done = whygate("export", "--har", str(har), "--jsonl", str(jsonl))
    assert (done.returncode, done.stdout) == (0, "")
    assert "35 calls" in done.stderr
    assert len(json.loads(har.read_bytes())["log"]["entries"]) == 35
    assert (
        ids_in(jsonl.read_text())
        == [*filled["good"][:30], *filled["bad"][:1], *filled["good"][30:], *filled["bad"][1:]][::-1]
    )
    assert {stat.S_IMODE(file.stat().st_mode) for file in (har, jsonl)} == {0o600}
    assert KEY not in har.read_text() + jsonl.read_text()


def test_standard_output_holds_the_document_and_nothing_else(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    done = whygate("export", "--jsonl", "-", "--failures")
    assert ids_in(done.stdout) == filled["bad"][::-1]
    assert json.loads(whygate("export", "--har", "-", "last").stdout)["log"]["entries"][0]["response"]["status"] == 429


def test_ids_and_filters_choose_the_calls(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    first, last = filled["bad"]
    assert ids_in(whygate("export", "--jsonl", "-", first, "last", first).stdout) == [last, first]
    assert len(ids_in(whygate("export", "--jsonl", "-", "--limit", "4").stdout)) == 4
    assert ids_in(whygate("export", "--jsonl", "-", "-q", "rate_limit").stdout) == [last, first]


def test_the_start_of_a_failed_answer_stays_here_unless_it_shall_go_along(
    whygate: Whygate, filled: dict[str, list[str]]
) -> None:
    row = json.loads(whygate("export", "--jsonl", "-", "last").stdout)
    assert (row["body"], row["body_left_out"]["bytes"]) == (None, 34)
    row = json.loads(whygate("export", "--jsonl", "-", "last", "--with-bodies").stdout)
    assert row["body"] == '{"error":{"message":"the second"}}'


@pytest.mark.parametrize("words", [("export", "--har"), ("export", "--jsonl"), ("bundle",)])
def test_a_file_that_is_there_stays_unless_told_otherwise(
    whygate: Whygate, filled: dict[str, list[str]], words: tuple[str, ...]
) -> None:
    file = whygate.cwd / "mine"
    file.write_text("mine")
    only_the_error(whygate(*words, str(file)), "is there already", 2)
    assert file.read_text() == "mine"
    assert whygate(*words, str(file), "--force").returncode == 0
    assert file.read_text(errors="replace") != "mine"
    assert [entry.name for entry in whygate.cwd.glob(".*")] == []


def test_a_link_is_replaced_and_never_followed(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    target, link = whygate.cwd / "target", whygate.cwd / "link"
    target.write_text("precious")
    link.symlink_to(target)
    only_the_error(whygate("bundle", str(link)), "is there already", 2)
    assert whygate("bundle", str(link), "--force").returncode == 0
    assert target.read_text() == "precious"
    assert not link.is_symlink()


def into_nowhere(cwd: Path) -> str:
    return str(cwd / "no" / "such" / "file")


def into_a_directory(cwd: Path) -> str:
    return str(cwd)


def into_a_device(cwd: Path) -> str:
    return "/dev/null"


@pytest.mark.parametrize(
    ("place", "what"),
    [(into_nowhere, "no such directory"), (into_a_directory, "is a directory"), (into_a_device, "no plain file")],
)
def test_a_place_that_cannot_be_written_is_named(
    whygate: Whygate, filled: dict[str, list[str]], place: Callable[[Path], str], what: str
) -> None:
    for words in (("export", "--har"), ("bundle",)):
        only_the_error(whygate(*words, place(whygate.cwd), "--force"), what, 2)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no directory here is closed to everybody")
def test_a_directory_that_takes_no_file_is_named(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    only_the_error(whygate("bundle", "/proc/b.zip"), "cannot be written", 2)


def test_a_full_disk_leaves_nothing_behind(whygate: Whygate, log: Recorder) -> None:
    """A limit of the process stands for the disk's end; SQLite needs 32 KiB of it beside the log."""
    log_call(log, failed=True, body=os.urandom(40_000).hex().encode())
    log.close()
    done = subprocess.run(
        whygate.command("bundle", "b.zip", "--with-bodies"), cwd=whygate.cwd, env=whygate.env, capture_output=True,
        text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (33_000, 33_000)),
    )  # fmt: skip
    only_the_error(done, "disk is full", 2)
    assert [entry for entry in whygate.cwd.iterdir() if entry.is_file()] == []


@pytest.mark.parametrize(
    ("words", "what", "code"),
    [
        (("export",), "Nowhere to write to", 2),
        (("export", "--har", "-", "--jsonl", "-"), "Two forms for one place", 2),
        (("export", "--har", "-", "--cause", "Not A Slug"), "filter means nothing", 2),
        (("export", "--har", "-", "--since", "yesterday"), "filter means nothing", 2),
        (("export", "--har", "-", "last", "--failures"), "Both ids and filters", 2),
        (("export", "--har", "-", "00000000000000000000000000"), "No call has this id", 2),
        (("export", "--har", "-", "--cause", "quota.exhausted"), "No call fits", 1),
        (("bundle", "b.zip", "last", "--status", "4xx"), "Both ids and filters", 2),
        (("bundle", "b.zip", "--provider", "nobody"), "No call fits", 1),
    ],
)
def test_a_mistake_is_told_with_what_to_do(
    whygate: Whygate, filled: dict[str, list[str]], words: tuple[str, ...], what: str, code: int
) -> None:
    done = whygate(*words)
    only_the_error(done, what, code)
    assert done.stdout == ""
    assert not (whygate.cwd / "b.zip").exists()


def test_without_a_log_there_is_nothing_to_hand_over(whygate: Whygate) -> None:
    only_the_error(whygate("bundle", "b.zip"), "No gateway is running", 2)


def test_a_bundle_holds_the_failures_and_the_20_calls_before_each(
    whygate: Whygate, filled: dict[str, list[str]]
) -> None:
    file = whygate.cwd / "b.zip"
    done = whygate("bundle", str(file))
    assert done.returncode == 0, done.stderr
    assert "2 failed calls of 25" in done.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    files = unpacked(file)
    assert set(files) == {
        "README.txt", "verdicts.txt", "timeline.txt", "for-provider-support.txt", "for-company-it.txt", "flows.har",
        "flows.jsonl", "environment.json", "manifest.json",
        *(f"reproduce/{flow_id}.{kind}" for flow_id in filled["bad"] for kind in ("sh", "py")),
    }  # fmt: skip
    ids = ids_in(files["flows.jsonl"].decode())
    assert sorted(ids) == sorted([*filled["good"][10:], *filled["bad"]])
    manifest = json.loads(files["manifest.json"])
    assert [entry["name"] for entry in manifest["files"]] == [name for name in files if name != "manifest.json"]
    assert manifest["removed"]["start of an answer"] == 2
    assert (manifest["calls"], manifest["failed"], manifest["bodies"]) == (25, 2, False)


def test_a_bundle_of_one_call_by_its_id(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    assert "1 failed calls of 21" in whygate("bundle", "b.zip", filled["bad"][0]).stdout


def test_a_bundle_leaves_answers_out_unless_told_otherwise(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    whygate("bundle", "without.zip")
    whygate("bundle", "with.zip", "--with-bodies")
    without, with_them = unpacked(whygate.cwd / "without.zip"), unpacked(whygate.cwd / "with.zip")
    assert [name for name, data in without.items() if b"the second" in data] == []
    assert {name for name, data in with_them.items() if b"the second" in data} == {
        "flows.har", "flows.jsonl", "verdicts.txt",
    }  # fmt: skip
    assert b"What the log kept of prompts and answers is in it" in with_them["README.txt"]


def test_texts_for_support_and_for_it_say_what_they_need(whygate: Whygate, log: Recorder) -> None:
    log_call(log, failed=True)
    broken = NetFailure(phase=Phase.TLS, code=NetCode.TLS_UNTRUSTED_ISSUER, detail="self-signed", sent=False)
    call = a_call(arrived_at=time.time())
    verdict = a_diagnosis(
        Cause.NETWORK_TLS_INSPECTION,
        evidence=(),
        vendor="Zscaler",
        facts=(("issuer", "Zscaler Root CA"),),
    )
    log.opened(live := a_live(call))
    log.closed(live, a_concluded(call, diagnosis=verdict, attempts=(a_failed_attempt(1, broken),)))
    log.close()
    whygate("bundle", "b.zip")
    files = {name: data.decode() for name, data in unpacked(whygate.cwd / "b.zip").items()}
    support, it = files["for-provider-support.txt"], files["for-company-it.txt"]
    assert "cf-ray 8abc-FRA" in support
    assert "Ruled out:     quota.exhausted" in support
    assert call.id not in support
    assert "tls_inspection" not in support
    for told in ("api.openai.com:443", "Zscaler", "Signed by:      Zscaler Root CA", "self-signed"):
        assert told in it
    assert "rate_limit" not in it
    assert "\x1b" not in files["verdicts.txt"]


def test_the_environment_is_named_without_its_values(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    settings = whygate.cwd / "whygate.toml"
    settings.write_text('[network]\nproxy = "http://mirella:hunter2-hunter2@proxy.example.com:3128"\n')
    env = {"HTTPS_PROXY": "http://user:pa55word-pa55word@other.example.com:1", "no_proxy": "internal.example.com"}
    assert whygate("bundle", "b.zip", "--config", str(settings), **env).returncode == 0
    files = unpacked(whygate.cwd / "b.zip")
    told = json.loads(files["environment.json"])
    assert told["proxy_in_settings"] == "proxy.example.com:3128"
    assert {"HTTPS_PROXY", "no_proxy"} <= set(told["variables_set"])
    assert told["clients"] == [{"user_agent": "OpenAI/Python 3.54.0", "calls": 25}]
    for value in (b"hunter2", b"pa55word", b"other.example.com", b"internal.example.com", b"mirella"):
        assert [name for name, data in files.items() if value in data] == []


def test_settings_that_cannot_be_read_stop_no_bundle(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    settings = whygate.cwd / "whygate.toml"
    settings.write_text("[no_such]\nkey = 1\n")
    assert whygate("bundle", "b.zip", "--config", str(settings)).returncode == 0
    assert json.loads(unpacked(whygate.cwd / "b.zip")["environment.json"])["problems_in_settings"] == 1


def test_what_the_doctor_left_goes_along(whygate: Whygate, filled: dict[str, list[str]]) -> None:
    doctor = whygate.state.directory / "doctor.json"
    doctor.write_text(json.dumps({"healthy": False, "checks": [{"evidence": f"{whygate.cwd}/x"}]}))
    doctor.chmod(0o600)
    whygate("bundle", "b.zip", HOME=str(whygate.cwd))
    assert json.loads(unpacked(whygate.cwd / "b.zip")["doctor.json"])["checks"] == [{"evidence": "~/x"}]
    doctor.write_text("{")
    assert "Left out: doctor.json, which cannot be read." in whygate("bundle", "c.zip").stdout


@pytest.mark.parametrize("words", [("bundle", "out"), ("export", "--har", "out"), ("export", "--jsonl", "-")])
def test_a_secret_of_this_machine_stops_everything_and_is_not_shown(
    whygate: Whygate, log: Recorder, words: tuple[str, ...]
) -> None:
    """A value without a known shape: only who knows it can find it."""
    log_call(log, failed=True, target=b"/v1/" + SECRET.encode())
    log.close()
    done = whygate(*words, MY_API_KEY=SECRET)
    only_the_error(done, "Nothing was written", 1)
    assert "value of the environment variable MY_API_KEY" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert not (whygate.cwd / "out").exists()
    assert whygate(*words).returncode == 0


@pytest.mark.parametrize("kind", ["key of the fingerprints", "token of the page", "token of the listener"])
def test_the_keys_of_the_state_directory_stop_everything(whygate: Whygate, log: Recorder, kind: str) -> None:
    token = "page-token-0123456789"
    listen = "listen-token-0123456789"
    Runtime(
        pid=2**22 + 1, listen="127.0.0.1:1", page="127.0.0.1:1", token=token, started_at="", listen_token=listen
    ).write(whygate.state)
    value = {"key of the fingerprints": whygate.state.fingerprint_key().hex(), "token of the page": token}.get(
        kind, listen
    )
    log_call(log, failed=True, target=b"/v1/" + value.encode())
    log.close()
    done = whygate("bundle", "b.zip")
    only_the_error(done, kind, 1)
    assert value not in done.stderr


def test_the_home_directory_is_a_tilde(whygate: Whygate, log: Recorder) -> None:
    log_call(log, failed=True, target=f"{whygate.cwd}/v1/models".encode())
    log.close()
    assert whygate("bundle", "b.zip", HOME=str(whygate.cwd)).returncode == 0
    files = unpacked(whygate.cwd / "b.zip")
    assert [name for name, data in files.items() if str(whygate.cwd).encode() in data] == []
    assert b"https://api.openai.com/~/v1/models" in files["flows.har"]


def test_calls_come_from_the_page_of_a_gateway_that_runs(whygate: Whygate) -> None:
    """Also those that are not in the file yet, and those before a failure."""
    with serve_page(whygate.state.flows_db, Clock()) as served:
        Runtime(
            pid=os.getpid(), listen="127.0.0.1:1", page=f"127.0.0.1:{served.port}", token=TOKEN, started_at="x"
        ).write(whygate.state)
        for _ in range(25):
            log_call(served.recorder)
        log_call(served.recorder, failed=True)
        assert "1 failed calls of 21" in whygate("bundle", "b.zip").stdout
        assert len(ids_in(whygate("export", "--jsonl", "-").stdout)) == 26


def test_a_call_by_base_url_is_told_as_one_to_its_provider(whygate: Whygate, log: Recorder) -> None:
    """The address of a gateway on somebody else's machine is of no use to anybody."""
    target, ours = b"/openai/v1/chat/completions", Origin("http", "127.0.0.1", 80)
    flow_id = log_call(log, failed=True, mode=Mode.BASE_URL, origin=ours, target=target)
    log.close()
    whygate("bundle", "b.zip")
    files = {name: data.decode() for name, data in unpacked(whygate.cwd / "b.zip").items()}
    url = "https://api.openai.com/v1/chat/completions"
    for name in ("flows.har", "for-provider-support.txt", f"reproduce/{flow_id}.sh"):
        assert url in files[name], name
    assert json.loads(files["flows.jsonl"])["host"] == "127.0.0.1"
    assert url in whygate("export", "--har", "-").stdout


def test_letters_are_in_english_whatever_the_log_is_written_in(whygate: Whygate, log: Recorder) -> None:
    found = diagnose(
        Evidence(provider=OPENAI, host="api.openai.com", head=ReplyHead(status=500, headers=()), attempts=1)
    )
    call = a_call(arrived_at=time.time())
    log.opened(live := a_live(call))
    log.closed(live, a_concluded(call, diagnosis=say(found, "it"), outcome=a_failed_outcome(status=500)))
    log.close()
    whygate("bundle", "b.zip")
    files = {name: data.decode() for name, data in unpacked(whygate.cwd / "b.zip").items()}
    assert found.what_happened in files["for-provider-support.txt"]
    assert say(found, "it").title in files["verdicts.txt"]
