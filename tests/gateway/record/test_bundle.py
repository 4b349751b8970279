"""A bundle holds what was asked for, within its bound, and nothing that the scan objects to."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.record import bundle
from gateway.record.bundle import LeakError, TooLargeError, fitting, log_files, manifest, pack, with_body_left_out
from gateway.record.leaks import Known
from tests.gateway.record.made import a_row

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def rows(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [a_row(seq, host="api.openai.com", **changes).as_dict() for seq in range(count, 0, -1)]


def opened(data: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def test_every_file_is_in_it_for_its_owner_alone() -> None:
    files = {"a.txt": b"one", "reproduce/x.sh": b"two"}
    with opened(pack(files, (), "", NOW)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o600}
        assert {entry.date_time for entry in archive.infolist()} == {(2026, 11, 22, 12, 0, 0)}


def test_nothing_is_packed_when_one_file_holds_a_secret() -> None:
    known = [Known("value of the environment variable X_TOKEN", b"hunter2-hunter2")]
    with pytest.raises(LeakError) as caught:
        pack({"good": b"x", "flows.har": b"..hunter2-hunter2.."}, known, "", NOW)
    assert caught.value.leaks == (("flows.har", "value of the environment variable X_TOKEN"),)
    assert "hunter2" not in str(caught.value)


def test_more_than_a_bundle_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_BYTES", 10)
    with pytest.raises(TooLargeError):
        pack({"a": b"x" * 6, "b": b"x" * 5}, (), "", NOW)


def test_a_body_is_left_out_with_its_length_and_hash() -> None:
    row = a_row(1, cause="quota.exhausted", body="über").as_dict()
    told = with_body_left_out(row)
    assert told["body"] is None
    assert told["body_left_out"] == {"bytes": 5, "sha256": hashlib.sha256("über".encode()).hexdigest()}
    assert row["body"] == "über"
    assert "body_left_out" not in with_body_left_out(a_row(1).as_dict())


def test_where_there_is_not_room_for_all_failures_and_newer_calls_stay() -> None:
    given = rows(10)
    for row in given:
        row["cause"] = "quota.exhausted" if row["seq"] in {2, 3} else None
    room = len(json.dumps(given[0])) * 4
    assert [row["seq"] for row in fitting(given, room)] == [10, 9, 3, 2]
    assert fitting(given) == given
    assert fitting(given, 0) == []


def test_what_fits_the_rows_fits_the_bundle() -> None:
    """Rows of every size, the largest bodies among them."""
    given = rows(400, cause="service.server_error", status=500, body="\x01é" * 16_000)
    kept = fitting(given)
    assert 0 < len(kept) < 400
    pack(log_files(kept, "0.1.0"), (), "", NOW)


def test_the_newest_failures_can_be_asked_again_20_at_most() -> None:
    given = rows(30, cause="quota.exhausted", status=429, endpoint="chat.completions", method="POST")
    given[0]["cause"] = None
    names = [name for name in log_files(given, "") if name.startswith("reproduce/")]
    assert len(names) == 40
    assert names[:2] == [f"reproduce/{given[1]['id']}.sh", f"reproduce/{given[1]['id']}.py"]


def test_an_id_never_leads_out_of_the_folder() -> None:
    row = a_row(1, host="x", cause="unknown", id="../../etc/passwd").as_dict()
    assert "reproduce/______etc_passwd.sh" in log_files([row], "")


def test_the_manifest_has_size_and_hash_of_every_file() -> None:
    told = json.loads(manifest({"a": b"one"}, {"removed": {"x": 1}}))
    assert told["removed"] == {"x": 1}
    assert told["files"] == [{"name": "a", "bytes": 3, "sha256": hashlib.sha256(b"one").hexdigest()}]
