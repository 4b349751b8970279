"""`whygate explain`, as a person types it: what it reads, what it says, how it ends."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.diagnose.remedy import words
from gateway.explain.judge import Judge
from gateway.explain.rows import of_row
from gateway.model.call import Call
from gateway.model.cause import Cause
from gateway.record.recorder import Recorder
from gateway.show.catalogue import families
from tests.gateway.cli.conftest import Whygate
from tests.gateway.record.made import HandClock, a_call, a_concluded, a_failed_outcome, a_live
from tests.gateway.record.test_recorder import run_one

README = Path(__file__).parents[3] / "README.md"
EN = words("en").remedies

QUOTA = """\
Traceback (most recent call last):
  File "/home/ada/summarise.py", line 12, in <module>
    client.chat.completions.create(model="gpt-4o", messages=messages)
openai.RateLimitError: Error code: 429 - {'error': {'message': 'You exceeded your current quota, please check your plan \
and billing details.', 'type': 'insufficient_quota', 'param': None, 'code': 'insufficient_quota'}}
"""
REFUSED = "Error: connect ECONNREFUSED 127.0.0.1:7890\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1607:16)\n"
RAW = 'HTTP/1.1 529 \r\ncontent-type: application/json\r\nrequest-id: req_1\r\n\r\n{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
CURL = "*   Trying 104.18.6.192:443...\n* connect to 104.18.6.192 port 443 failed: Connection refused\n* Failed to connect to api.openai.com port 443: Connection refused\ncurl: (7) Failed to connect to api.openai.com port 443: Connection refused\n"
ROW = {
    "id": "r1",
    "request": {"method": "POST", "url": "https://api.openai.com/v1/chat/completions", "model": "gpt-4o"},
    "response": {"status": 429, "headers": {"retry-after": "20"}, "body": '{"error":{"message":"Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29500, Requested 1200.","type":"tokens","code":"rate_limit_exceeded"}}'},
}  # fmt: skip
PAGE = {
    "id": "r2",
    "observed": {
        "stage": "http",
        "status": 403,
        "headers": {"Server": "Zscaler/6.2"},
        "body": "<title>Internet Security by Zscaler</title>",
    },
}
STRANGE = {"id": "r3", "observed": {"exception": "the kettle is cold"}}
FIELDS = ["id", "cause", "alternatives", "fault", "precision", "retryable", "vendor", "title", "what_to_do"]


def entry(status: int, body: str = "") -> dict[str, Any]:
    request = {"method": "POST", "url": "https://api.openai.com/v1/responses", "headers": []}
    return {
        "request": request,
        "response": {"status": status, "headers": [], "content": {"mimeType": "application/json", "text": body}},
    }


def har(*entries: dict[str, Any]) -> str:
    return json.dumps({"log": {"version": "1.2", "entries": list(entries)}})


def piped(whygate: Whygate, text: str | bytes, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it with something on standard input."""
    done = subprocess.run(
        whygate.command("explain", *arguments), cwd=whygate.cwd, env=whygate.env | env, capture_output=True, timeout=60, check=False,
        input=text.encode() if isinstance(text, str) else text,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def lines_of(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def jsonl(rows: Iterable[object]) -> str:
    return "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (QUOTA, Cause.QUOTA_EXHAUSTED),
        (REFUSED, Cause.NETWORK_PROXY_UNREACHABLE),
        (RAW, Cause.SERVICE_OVERLOADED),
        (CURL, Cause.NETWORK_TCP_REFUSED),
        (json.dumps(ROW["response"]["body"]), Cause.RATE_LIMIT_TOKENS),  # type: ignore[index]
        (har(entry(200), entry(401, '{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}')), Cause.AUTH_INVALID_KEY),
    ],
    ids=["traceback", "stack", "raw", "curl", "body", "har"],
)  # fmt: skip
def test_a_failure_is_explained(whygate: Whygate, text: str, cause: Cause) -> None:
    """From a file and from standard input, with and without the dash."""
    (whygate.cwd / "seen.txt").write_text(text)
    said = whygate("explain", "seen.txt")
    assert (said.returncode, said.stderr) == (0, "")
    if cause is not Cause.NETWORK_PROXY_UNREACHABLE:
        assert said.stdout.startswith(f"{EN[cause].title}\n{cause.value}, ")
    assert "What to do\n" in said.stdout
    assert piped(whygate, text, "-").stdout == piped(whygate, text).stdout == said.stdout


def test_several_failures_are_numbered(whygate: Whygate) -> None:
    bad = entry(429, '{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}')
    said = piped(whygate, har(bad, entry(200), entry(503), bad))
    assert said.returncode == 0
    assert re.findall(r"^\d/\d  .*$", said.stdout, re.MULTILINE) == [
        f"{number}/3  POST https://api.openai.com/v1/responses" for number in (1, 2, 3)
    ]


def test_of_material_a_program_gets_one_object_a_failure(whygate: Whygate) -> None:
    said = piped(whygate, har(entry(503), entry(404)), "--json", "--lang", "it")
    first, second = lines_of(said.stdout)
    assert (first["fault"], second["language"]) == ("provider", "it")
    assert {"cause", "title", "what_happened", "what_to_do", "evidence", "ruled_out", "wait_seconds"} <= first.keys()


def test_secrets_are_not_repeated(whygate: Whygate) -> None:
    key = "sk-proj-" + "a1B2" * 12
    text = f'curl -v https://api.openai.com/v1/models -H \'Authorization: Bearer {key}\'\n> GET /v1/models HTTP/1.1\n> Host: api.openai.com\n> Authorization: Bearer {key}\n< HTTP/1.1 401 Unauthorized\n< content-type: application/json\n<\n{{"error":{{"message":"Incorrect API key provided: {key}","code":"invalid_api_key"}}}}\n'
    for arguments in ((), ("--json",)):
        said = piped(whygate, text, *arguments)
        assert said.returncode == 0
        assert key not in said.stdout + said.stderr


@pytest.mark.parametrize(
    "text",
    ["", "  \n", "hello world\n", "2 eggs\n1 l milk\n", '{"a": 1}', "[]", "\x00" * 500, bytes(range(256)) * 20],
)
def test_what_tells_of_no_failure_is_refused_with_what_can_be_read(whygate: Whygate, text: str | bytes) -> None:
    said = piped(whygate, text)
    assert (said.returncode, said.stdout) == (1, "")
    assert "HAR" in said.stderr
    assert "Traceback" not in said.stderr.replace("a traceback", "")


@pytest.mark.parametrize(
    "junk", [bytes([0x1F, 0x8B, 8, 0]) + os.urandom(4000), os.urandom(100_000), b"\xff\xfe" + os.urandom(999)]
)
def test_binary_junk_ends_without_a_traceback(whygate: Whygate, junk: bytes) -> None:
    said = piped(whygate, junk, "-")
    assert said.returncode in {0, 1}
    assert "whygate: This is a bug" not in said.stderr
    assert "Traceback (most" not in said.stderr


def test_a_failure_that_nothing_explains_is_called_unknown(whygate: Whygate) -> None:
    """And is shown: it is a verdict."""
    said = piped(whygate, "FlangeError: the flange failed")
    assert said.returncode == 0
    assert said.stdout.startswith(f"{EN[Cause.UNKNOWN].title}\nunknown")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (har(entry(200), entry(204)), "No call of this HAR file failed; it holds 2."),
        (har(), "This HAR file holds no call."),
        ('HTTP/1.1 200 OK\ncontent-type: application/json\n\n{"id":"resp_1","output":[]}', "answered with status 200"),
    ],
)
def test_successes_are_said_to_be_such(whygate: Whygate, text: str, told: str) -> None:
    said = piped(whygate, text)
    assert (said.returncode, said.stderr) == (0, "")
    assert told in said.stdout
    for_a_program = piped(whygate, text, "--json")
    assert (for_a_program.returncode, for_a_program.stdout) == (0, "")
    assert told in for_a_program.stderr


def test_text_of_windows_powershell_is_read(whygate: Whygate) -> None:
    """It writes UTF-16."""
    assert piped(whygate, b"\xff\xfe" + QUOTA.encode("utf-16-le")).stdout == piped(whygate, QUOTA).stdout


@pytest.mark.parametrize("name", ["missing.txt", "no such\nfile", "a" * 5000, "."])
def test_a_file_that_cannot_be_read_is_one_sentence_and_exit_2(whygate: Whygate, name: str) -> None:
    for arguments in (("explain", name), ("explain", "--jsonl", name)):
        said = whygate(*arguments)
        assert (said.returncode, said.stdout) == (2, "")
        assert "Traceback" not in said.stderr
        assert "  do     " in said.stderr


def test_what_is_too_large_is_refused(whygate: Whygate) -> None:
    """Without being read to its end."""
    with (whygate.cwd / "large").open("wb") as file:
        file.truncate(5 * 2**30)
    said = whygate("explain", "large")
    assert said.returncode == 2
    assert "larger than 4 MiB" in said.stderr


@pytest.mark.parametrize("language", ["en", "zh", "it"])
@pytest.mark.parametrize("cause", [Cause.QUOTA_EXHAUSTED, Cause.UNKNOWN])
def test_a_cause_is_explained_in_each_language(whygate: Whygate, cause: Cause, language: str) -> None:
    said = whygate("explain", cause.value, "--lang", language, COLUMNS="2000")
    remedy = words(language).remedies[cause]
    for part in (remedy.title, remedy.what_it_means, remedy.how_we_know, remedy.not_to_be_confused_with, remedy.source):
        assert part in said.stdout
    assert (said.returncode, said.stderr) == (0, "")
    [as_json] = lines_of(whygate("explain", cause.value, "--lang", language, "--json").stdout)
    assert (as_json["cause"], as_json["title"], as_json["fault"]) == (cause.value, remedy.title, cause.fault)
    assert not any(re.search(r"[\[{]", step) for step in as_json["what_to_do"])


@pytest.mark.parametrize("name", ["rate_limit", "rate_limit.", "rate_limit.*"])
def test_a_family_lists_its_causes(whygate: Whygate, name: str) -> None:
    said = whygate("explain", name).stdout.splitlines()
    assert [line.split()[0] for line in said] == [cause.value for cause in families()["rate_limit"]]
    assert all(EN[cause].title in line for cause, line in zip(families()["rate_limit"], said, strict=True))


def test_alone_in_a_terminal_it_lists_all_causes(whygate: Whygate) -> None:
    """And waits for nothing."""
    terminal, inside = pty.openpty()
    said = subprocess.run(
        whygate.command("explain"), cwd=whygate.cwd, env=whygate.env, stdin=inside, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    os.close(terminal)
    os.close(inside)
    assert [line.split()[0] for line in said.stdout.splitlines() if line] == list(Cause)
    assert said.returncode == 0


@pytest.mark.parametrize(("name", "meant"), [("quota.exhauste", "quota.exhausted"), ("rate_limits", "rate_limit")])
def test_a_misspelt_cause_is_recognised(whygate: Whygate, name: str, meant: str) -> None:
    said = whygate("explain", name)
    assert said.returncode == 2
    assert f"Did you mean {meant}?" in said.stderr


def test_a_file_may_have_the_name_of_a_cause(whygate: Whygate) -> None:
    """By its path."""
    (whygate.cwd / "unknown").write_text(QUOTA)
    assert whygate("explain", "./unknown").stdout.startswith(EN[Cause.QUOTA_EXHAUSTED].title)
    assert whygate("explain", "unknown").stdout.startswith(EN[Cause.UNKNOWN].title)


def log_with_a_failure(whygate: Whygate) -> tuple[str, str]:
    """Leave a log as a gateway does; give the ids of a failed call and of a good one."""
    recorder = Recorder(whygate.state.flows_db, HandClock())
    recorder.start()
    call: Call = a_call()
    live = a_live(call)
    recorder.opened(live)
    said = Judge().judge(of_row(ROW))
    recorder.closed(live, a_concluded(call, diagnosis=said, outcome=a_failed_outcome(b"{}")))
    good = run_one(recorder)
    recorder.close()
    return call.id, good


def test_a_call_of_the_log_is_explained_by_its_id(whygate: Whygate) -> None:
    """As it was said then, or in another language."""
    failed, good = log_with_a_failure(whygate)
    assert whygate("explain", failed).stdout.startswith(EN[Cause.RATE_LIMIT_TOKENS].title)
    assert "30000" in whygate("explain", failed, "--lang", "zh").stdout
    assert whygate("explain", failed, "--lang", "zh").stdout.startswith(
        words("zh").remedies[Cause.RATE_LIMIT_TOKENS].title
    )
    [row] = lines_of(whygate("explain", failed, "--json").stdout)
    assert (row["id"], row["cause"]) == (failed, "rate_limit.tokens")
    assert "did not fail" in whygate("explain", good).stdout
    missing = whygate("explain", "0" * 26)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "No call has this id" in missing.stderr


def test_the_log_speaks_the_language_that_is_asked_for(whygate: Whygate) -> None:
    """Readers without the option show a verdict as it was said when the call failed."""
    failed, _ = log_with_a_failure(whygate)
    titles = {language: words(language).remedies[Cause.RATE_LIMIT_TOKENS].title for language in ("en", "zh", "it")}
    for arguments in (("flows",), ("flows", "show", failed), ("flows", "--json"), ("flows", "show", failed, "--json")):
        assert titles["en"] in whygate(*arguments).stdout
        assert titles["it"] in whygate(*arguments, "--lang", "it").stdout
        assert titles["zh"] in whygate(*arguments, WHYGATE_LANG="zh").stdout
    assert titles["it"] in whygate("flows", "--lang", "it", "show", failed).stdout


def test_tail_speaks_the_language_that_is_asked_for(whygate: Whygate) -> None:
    log_with_a_failure(whygate)
    tail = whygate.start("tail", "--failures", "--lang", "it")
    assert tail.stdout is not None
    assert words("it").remedies[Cause.RATE_LIMIT_TOKENS].title in tail.stdout.readline()
    tail.kill()
    tail.communicate()


@pytest.mark.parametrize(
    ("arguments", "env", "language"),
    [
        ((), {}, "en"),
        ((), {"WHYGATE_DIAGNOSE__LANGUAGE": "it"}, "it"),
        ((), {"WHYGATE_DIAGNOSE__LANGUAGE": "it", "WHYGATE_LANG": "zh"}, "zh"),
        (("--lang", "it"), {"WHYGATE_LANG": "zh"}, "it"),
    ],
)
def test_the_language_is_the_option_s_else_the_variable_s_else_the_setting_s(
    whygate: Whygate, arguments: tuple[str, ...], env: dict[str, str], language: str
) -> None:
    said = whygate("explain", "quota.exhausted", *arguments, **env).stdout
    assert said.startswith(words(language).remedies[Cause.QUOTA_EXHAUSTED].title)


def test_a_collection_gives_one_line_for_each_in_order(whygate: Whygate) -> None:
    said = piped(whygate, jsonl([ROW, "", PAGE, STRANGE]), "--jsonl", "-")
    limited, blocked, strange = lines_of(said.stdout)
    assert (said.returncode, said.stderr) == (0, "")
    assert [list(row) for row in (limited, blocked, strange)] == [FIELDS] * 3
    assert [row["id"] for row in (limited, blocked, strange)] == ["r1", "r2", "r3"]
    assert (limited["cause"], limited["fault"], limited["retryable"], limited["vendor"]) == (
        "rate_limit.tokens",
        "caller",
        True,
        None,
    )
    assert (blocked["cause"], blocked["vendor"], blocked["retryable"]) == ("network.blocked_page", "Zscaler", False)
    assert (strange["cause"], strange["fault"], strange["vendor"]) == ("unknown", None, None)
    assert all(
        isinstance(row["alternatives"], list) and row["title"] and row["what_to_do"]
        for row in (limited, blocked, strange)
    )


def test_the_answers_that_a_collection_holds_are_not_read(whygate: Whygate) -> None:
    """Whatever they say, the verdict is the same."""
    lies = {
        "cause": "quota.exhausted",
        "why": "no credit left",
        "source": "insufficient_quota",
        "vendor": "Fortinet",
        "also_ok": ["edge.blocked"],
        "retryable": None,
    }
    plain = piped(whygate, jsonl([ROW, PAGE, STRANGE]), "--jsonl", "-").stdout
    assert piped(whygate, jsonl([{**row, **lies} for row in (ROW, PAGE, STRANGE)]), "--jsonl", "-").stdout == plain


def test_a_bad_line_costs_only_itself(whygate: Whygate) -> None:
    """It stands in its place, and the exit code tells."""
    bad = [
        "{nope",
        "[1]",
        {"id": "b1"},
        {"id": "b2", "response": {"status": "no"}},
        '"x"',
        {"id": "b3", "response": {}, "observed": {}},
        "[" * 100_000,
    ]
    (whygate.cwd / "rows.jsonl").write_text(jsonl([ROW, *bad, {**PAGE, "id": 7}]))
    said = whygate("explain", "--jsonl", "rows.jsonl")
    rows = lines_of(said.stdout)
    assert said.returncode == 1
    assert [row["id"] for row in rows] == ["r1", None, None, "b1", "b2", None, "b3", None, 7]
    assert [row.get("error", "").partition(":")[0] for row in rows] == [
        "",
        *(f"line {number}" for number in range(2, 9)),
        "",
    ]
    assert len(said.stderr.splitlines()) == len(bad)
    assert "Traceback" not in said.stderr


def test_text_that_others_cut_is_read(whygate: Whygate) -> None:
    """Half a surrogate pair, bytes that are no UTF-8, the mark at the beginning of a file of Windows."""
    cut = b'{"id":"s","observed":{"exception":"getaddrinfo ENOTFOUND \\ud83d"}}\n'
    said = piped(whygate, b"\xef\xbb\xbf" + cut + cut.replace(b"\\ud83d", b"\xe9"), "--jsonl", "-")
    assert [row["cause"] for row in lines_of(said.stdout)] == ["network.dns_failure"] * 2


def test_a_line_longer_than_any_failure_is_skipped(whygate: Whygate) -> None:
    said = piped(whygate, b'{"id":"' + b"x" * (5 * 2**20) + b'"}\n' + jsonl([ROW]).encode(), "--jsonl", "-")
    long, row = lines_of(said.stdout)
    assert "longer than 4 MiB" in long["error"]
    assert row["cause"] == "rate_limit.tokens"


def test_each_line_is_answered_before_the_next_is_sent(whygate: Whygate) -> None:
    process = subprocess.Popen(
        whygate.command("explain", "--jsonl", "-"), cwd=whygate.cwd, env=whygate.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for row in (ROW, PAGE):
        process.stdin.write(jsonl([row]))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == row["id"]
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_a_reader_that_has_seen_enough_ends_it_quietly(whygate: Whygate) -> None:
    """As ``| head`` does."""
    (whygate.cwd / "rows.jsonl").write_text(jsonl([ROW] * 2000))
    process = whygate.start("explain", "--jsonl", "rows.jsonl")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(20) == 1


def test_two_things_at_once_are_refused(whygate: Whygate) -> None:
    said = whygate("explain", "quota.exhausted", "--jsonl", "-")
    assert said.returncode == 2
    assert "Give one of them" in said.stderr


def test_it_loads_nothing_that_carries_traffic(whygate: Whygate) -> None:
    """Rows are judged within a second of the start."""
    program = (
        "import sys; from gateway.cli import main; sys.argv = ['whygate', 'explain', '--jsonl', '-']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'mitmproxy', 'aiohttp', 'uvicorn', 'httpx2', 'starlette'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=whygate.env, input=jsonl([ROW]), capture_output=True, text=True, check=False
    )  # fmt: skip
    assert lines_of(done.stdout)[0]["cause"] == "rate_limit.tokens"
    assert done.stderr.strip() == "[]"


def test_help_shows_an_example(whygate: Whygate) -> None:
    told = whygate("explain", "--help").stdout
    assert "Example:  whygate explain" in told
    assert "WHYGATE_LANG" in told


def test_what_the_readme_shows_is_what_it_says(whygate: Whygate) -> None:
    """Word for word; else its output is to be pasted anew."""
    section = README.read_text().split("## Explain a failure")[1].split("\n## ")[0]
    pasted, command, shown = re.findall(r"```(?:text)?\n(.*?)```", section, re.DOTALL)[:3]
    assert "whygate explain traceback.txt" in command
    (whygate.cwd / "traceback.txt").write_text(pasted)
    said = whygate("explain", "traceback.txt", COLUMNS="100").stdout
    assert [line.rstrip() for line in said.splitlines()] == shown.splitlines()
