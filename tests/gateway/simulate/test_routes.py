"""The route table, and whose client a call is taken for."""

from collections import Counter
from importlib import resources

import pytest

from gateway.simulate.provider import Provider, provider_of
from gateway.simulate.routes import all_faces, faces_at


def test_every_file_of_faces_is_found_and_no_route_is_there_twice() -> None:
    """A new file is a new face; two faces for one call would hide one of them."""
    folder = resources.files("gateway.simulate").joinpath("faces")
    files = [entry.name for entry in folder.iterdir() if entry.name.endswith(".py") and entry.name != "__init__.py"]
    assert len(files) >= 10
    routes = Counter((face.provider, face.method, face.path) for face in all_faces())
    assert [route for route, count in routes.items() if count > 1] == []


def test_every_route_answers_and_every_post_requires_something() -> None:
    """A face without an answer, or one that would not look at its body, is a mistake."""
    for face in all_faces():
        assert face.plain or face.stream, face.path
        assert face.required or face.method != "POST", face.path


@pytest.mark.parametrize(
    ("provider", "path", "named"),
    [
        (Provider.AZURE, "/openai/deployments/d/embeddings", {"model": "d"}),
        (
            Provider.GEMINI,
            "/v1/models/simulate:quota.exhausted?times=1:generateContent",
            {"model": "simulate:quota.exhausted?times=1"},
        ),
        (Provider.GEMINI, "/v1beta/models/m", {"name": "m"}),
        (Provider.OPENAI, "/api/v1/models/vendor/m:free", {"item": "vendor/m:free"}),
        (Provider.OPENAI, "/v1/models", {}),
    ],
)
def test_a_path_gives_what_it_names(provider: Provider, path: str, named: dict[str, str]) -> None:
    """The model stands in the path where the provider has it there."""
    assert [found for _, found in faces_at(provider, path)] == [named]


@pytest.mark.parametrize(
    ("path", "headers", "query", "provider"),
    [
        ("/v1/models", {}, {}, Provider.OPENAI),
        ("/v1/models", {"x-api-key": "k"}, {}, Provider.ANTHROPIC),
        ("/v1/models", {"x-goog-api-key": "k"}, {}, Provider.GEMINI),
        ("/v1/models", {}, {"key": "k"}, Provider.GEMINI),
        ("/v1/models/m:streamGenerateContent", {}, {}, Provider.GEMINI),
        ("/v1/messages", {}, {}, Provider.ANTHROPIC),
        ("/v1beta/openai/chat/completions", {}, {}, Provider.GEMINI),
        ("/openai/responses", {}, {}, Provider.AZURE),
        ("/openai/v1/responses", {}, {}, Provider.OPENAI),
        ("/openai/v1/responses", {}, {"api-version": "preview"}, Provider.AZURE),
        ("/openai/v1/responses", {"host": "mine.openai.azure.com"}, {}, Provider.AZURE),
        ("/chat/completions", {"x-simulate-provider": "gemini"}, {}, Provider.GEMINI),
    ],
)
def test_a_client_is_known_by_path_key_or_word(
    path: str, headers: dict[str, str], query: dict[str, str], provider: Provider
) -> None:
    """What only one provider has decides; the simulator's own header decides before all."""
    assert provider_of(path, headers, query) is provider
