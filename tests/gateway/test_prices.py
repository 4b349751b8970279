"""The table of prices, and what is made of it."""

import datetime as dt
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway._discover import discover
from gateway.model.provider import Provider
from gateway.prices import Price, TableError, cost, find, prices, read_table, use


@pytest.mark.parametrize("price", prices(), ids=lambda price: f"{price.provider}/{price.model}")
def test_every_row_is_whole_and_no_earlier_row_hides_it(price: Price) -> None:
    assert price.provider in {one.name for one in discover("gateway.providers", "PROVIDER", Provider).values()}
    assert 0 < price.input_usd <= 200
    assert 0 <= price.output_usd <= 1_000
    assert price.output_usd or "embed" in price.model, "only vectors come for nothing"
    assert urlsplit(price.source).scheme == "https"
    assert dt.date.fromisoformat(price.read) >= dt.date(2026, 1, 1)
    for filler in ("", "7", "x-y"):
        name = re.sub(r"\*", filler, price.model).replace("?", "1")
        if filler or "*" not in price.model:
            assert find(price.provider, name) == price, f"{name} is taken by an earlier row"


@pytest.mark.parametrize(
    ("provider", "model", "tokens_in", "tokens_out", "usd"),
    [
        ("openai", "gpt-4o", 1_000_000, 1_000_000, 12.5),
        ("openai", "gpt-4o-2024-08-06", 1_000_000, 0, 2.5),
        ("openai", "gpt-4o-2024-05-13", 1_000_000, 0, 5.0),
        ("openai", "gpt-4o-mini-2024-07-18", 1_000, 100, 0.00021),
        ("openai", "gpt-4.1-nano", 1_000_000, 1_000_000, 0.5),
        ("openai", "text-embedding-3-small", 1_000_000, None, 0.02),
        ("anthropic", "claude-sonnet-4-5-20250929", 1_000_000, 1_000_000, 18.0),
        ("anthropic", "claude-opus-4-20250514", 0, 1_000_000, 75.0),
        ("anthropic", "claude-3-5-haiku-latest", 1_000_000, 1_000_000, 4.8),
        ("gemini", "gemini-2.5-flash", 1_000_000, 1_000_000, 2.8),
        ("gemini", "models/gemini-2.5-pro", 1_000_000, 0, 1.25),
        ("gemini", "gemini-embedding-001", 1_000_000, None, 0.15),
        ("mistral", "mistral-large-2411", 1_000_000, 1_000_000, 8.0),
        ("groq", "llama-3.1-8b-instant", 1_000_000, 1_000_000, 0.13),
        ("xai", "grok-4-0709", 1_000_000, 1_000_000, 18.0),
    ],
)
def test_known_calls_cost_what_their_provider_says(
    provider: str, model: str, tokens_in: int, tokens_out: int | None, usd: float
) -> None:
    assert cost(provider, model, tokens_in, tokens_out) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("provider", "model", "tokens_in", "tokens_out"),
    [
        ("openai", "gpt-4o-of-tomorrow", 1, 1),
        ("openai", "", 1, 1),
        ("openai", "GPT-4O", 1, 1),
        ("azure", "gpt-4o", 1, 1),
        ("nobody", "gpt-4o", 1, 1),
        ("openai", "gpt-4o", None, 1),
        ("openai", "gpt-4o", 1, None),
        ("openai", "gpt-4o-2024", 1, 1),
    ],
)
def test_what_is_not_known_is_not_guessed(
    provider: str, model: str, tokens_in: int | None, tokens_out: int | None
) -> None:
    assert cost(provider, model, tokens_in, tokens_out) is None


def test_an_empty_call_costs_nothing() -> None:
    assert cost("openai", "gpt-4o", 0, 0) == 0.0


HEAD = "provider,model,input_usd,output_usd,source,read"


def test_a_table_of_ones_own_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(f"\ufeff{HEAD}\r\nazure,my-*,1,2,the contract,2026-11-22\r\n\r\n", "utf-8")
    use(read_table(file))
    try:
        assert cost("azure", "my-gpt", 1_000_000, 1_000_000) == pytest.approx(3.0)
        assert cost("openai", "gpt-4o", 1, 1) is None
    finally:
        use(None)
    assert cost("openai", "gpt-4o", 1, 1) is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: expected the columns provider,model"),
        ("provider;model", "line 1: expected the columns"),
        (HEAD, "at least one row"),
        (f"{HEAD}\nopenai,x,1,2,s", "line 2: expected 6 columns, found 5"),
        (f"{HEAD}\nopenai,x,1,2,s,2026-11-22\nopenai,,1,2,s,2026-11-22", "line 3: expected a provider and a model"),
        (f"{HEAD}\nopenai,x,nan,2,s,2026-11-22", "line 2: expected US dollars per million tokens"),
        (f"{HEAD}\nopenai,x,1,-2,s,2026-11-22", "line 2: expected US dollars"),
        (f"{HEAD}\nopenai,x,1,2,s,yesterday", "line 2: expected in read the date"),
        (f'{HEAD}\nopenai,"x,1', "line 2: expected comma-separated values"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_with_the_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(text)
    with pytest.raises(TableError, match=re.escape(told)):
        read_table(file)
    with pytest.raises(TableError, match="can be read"):
        read_table(tmp_path)
