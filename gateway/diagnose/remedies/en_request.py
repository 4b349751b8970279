"""What to do about requests that the provider cannot accept."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

REQUEST: Mapping[Cause, Remedy] = {
    Cause.REQUEST_INVALID_JSON: Remedy(
        title="The request is not valid JSON",
        what_it_means=(
            "The provider could not read the body of the call. A comma, a quote or an odd character is in the wrong "
            "place, or the body was cut."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the body of the call is not valid JSON: "
            "{detail}."
        ),
        what_to_do=(
            "Let the library or `json.dumps` / `JSON.stringify` build the body; do not glue strings together.",
            (
                "With curl on Windows, put the body in a file and send it with `--data @body.json`, since quotes are "
                "handled differently."
            ),
            "Check the body with `python -m json.tool body.json`.",
        ),
        not_to_be_confused_with=(
            "A body that can be read but holds a wrong value is a different fault and names the field."
        ),
    ),
    Cause.REQUEST_INVALID_PARAMETER: Remedy(
        title="A parameter has a wrong value",
        what_it_means="The request was understood, but one field has a value or type that is not allowed.",
        what_happened=(
            "The provider {provider} refused this call ({status}) because a field of the request has a value it does "
            "not accept: {detail}."
        ),
        what_to_do=(
            "Find the field that the message names and compare its value with the provider's API reference.",
            "Check its type too: a number in quotes, or a list where a single value belongs.",
            "Cut the request down to model and messages, then add fields back one by one.",
        ),
        not_to_be_confused_with=(
            "A field that the model does not know at all is a different fault; here the field is right and its value "
            "is not."
        ),
    ),
    Cause.REQUEST_MISSING_PARAMETER: Remedy(
        title="A required field is missing",
        what_it_means="The request was understood but lacks something the provider insists on.",
        what_happened=(
            "The provider {provider} refused this call ({status}) because a required field is missing: {detail}."
        ),
        what_to_do=(
            "Add the field that the message names; for Anthropic it is often `max_tokens`.",
            "Check that the value is not empty or null at the moment of sending, as unset variables vanish silently.",
            "Check that the body fits this endpoint: `messages` for chat, `input` for responses and embeddings.",
        ),
        not_to_be_confused_with="A field with a wrong value is named as such; here it is not there at all.",
    ),
    Cause.REQUEST_UNSUPPORTED_PARAMETER: Remedy(
        title="The model does not take this",
        what_it_means="A field of the request is valid elsewhere, but this model or this provider does not support it.",
        what_happened=(
            "The provider {provider} refused this call ({status}) because a field is not supported with the model "
            "{model}: {detail}."
        ),
        what_to_do=(
            "Remove the field that the message names, or put its replacement there.",
            "With newer OpenAI models use `max_completion_tokens` for `max_tokens` and leave `temperature` out.",
            (
                "With a compatible provider, switch off extras in the app, such as `parallel_tool_calls` or strict "
                "schemas."
            ),
        ),
        not_to_be_confused_with="A wrong value can be corrected; this field has to go, or the model has to change.",
    ),
    Cause.REQUEST_UNSUPPORTED_MEDIA_TYPE: Remedy(
        title="The content type is wrong",
        what_it_means=(
            "The provider does not accept the form in which the body was sent, because the `Content-Type` header is "
            "missing or does not fit."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because it does not accept the content type of this "
            "call: {detail}."
        ),
        what_to_do=(
            "Send `Content-Type: application/json` with JSON bodies; with curl add it by hand with `-H`.",
            (
                "For file uploads let the library set `multipart/form-data` by itself, since a value set by hand lacks "
                "the boundary."
            ),
            "Check that files and images have a type that the provider lists.",
        ),
        not_to_be_confused_with="A broken body under the right header is a different fault, namely invalid JSON.",
    ),
    Cause.REQUEST_MODEL_NOT_FOUND: Remedy(
        title="The model was not found",
        what_it_means=(
            "The provider either has no model of this name or does not offer it to this key. It gives the same answer "
            "for both."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because it found no model {model} for this key: "
            "{detail}."
        ),
        what_to_do=(
            "Compare the name letter by letter with the list that the provider gives for your key (`GET /v1/models`).",
            "In Azure use the name of your deployment, not the name of the model.",
            "Check that name and base URL belong to the same provider; relays often need a prefix such as `openai/`.",
            "If the name is right, check that the project and tier of your key include the model.",
        ),
        not_to_be_confused_with=(
            "A retired model gives a similar answer, and a wrong URL also gives 404 but does not speak of a model."
        ),
    ),
    Cause.REQUEST_MODEL_DEPRECATED: Remedy(
        title="The model has been retired",
        what_it_means=(
            "The model existed and has been switched off. Neither trying again nor another key brings it back."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the model {model} has been retired: {detail}."
        ),
        what_to_do=(
            "Put the successor named on the provider's deprecations page into the app's settings.",
            "Search the code and configuration for the old name, dated versions included.",
            "If you cannot change the app now, ask the provider whether another version of the model is still served.",
        ),
        not_to_be_confused_with="A mistyped name gives a similar answer, but that model never existed.",
    ),
    Cause.REQUEST_CONTEXT_LENGTH: Remedy(
        title="The text is too long",
        what_it_means=(
            "Prompt, history and requested answer together exceed what this model can hold. The same request will fail "
            "every time."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the text does not fit into the model "
            "{model}: {detail}."
        ),
        what_to_do=(
            "Drop old messages, shorten documents or summarise them before sending.",
            "Lower `max_tokens`, since room for the answer counts as well.",
            "Choose a model with a larger context window.",
            "Look for tool results or files that the app adds on every turn.",
        ),
        not_to_be_confused_with="A limit of tokens per minute passes with waiting; this one does not.",
    ),
    Cause.REQUEST_PAYLOAD_TOO_LARGE: Remedy(
        title="The request is too big",
        what_it_means=(
            "The body, a file or an image has more bytes than the receiver accepts. How many tokens it holds does not "
            "matter here."
        ),
        what_happened=(
            "The server {host} refused this call ({status}) because the request or a file in it is too big: {detail}."
        ),
        what_to_do=(
            "Shrink or compress images before sending, or pass a link in place of the data.",
            "Use the provider's file upload for large documents, and split them if needed.",
            (
                "If a proxy or relay of your own stands in front, check its body size limit (nginx: "
                "`client_max_body_size`)."
            ),
        ),
        not_to_be_confused_with="Too many tokens is counted by the model; here the number of bytes is the problem.",
    ),
    Cause.REQUEST_INVALID_URL: Remedy(
        title="The URL does not exist",
        what_it_means=(
            "The server was reached, but there is no such path on it. Usually `/v1` is missing or doubled in the base "
            "URL."
        ),
        what_happened=(
            "The server {host} refused this call ({status}) because the path of this call does not exist there: "
            "{detail}."
        ),
        what_to_do=(
            (
                "Check the base URL against the provider's page: `https://api.openai.com/v1`, but "
                "`https://api.anthropic.com` without `/v1`."
            ),
            (
                "Look in `whygate flows show ID` at the path that was really sent; libraries add parts such as "
                "`/chat/completions` themselves."
            ),
            "For Azure check the resource name and the `/openai/` part.",
        ),
        not_to_be_confused_with="A missing model also gives 404, but its text names the model and not the path.",
    ),
    Cause.REQUEST_WRONG_ENDPOINT: Remedy(
        title="The wrong endpoint for this model",
        what_it_means=(
            "The model and the address both exist, but they do not go together. For example, the model answers only on "
            "the Responses API."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the model {model} is not served on this "
            "endpoint: {detail}."
        ),
        what_to_do=(
            (
                "Use the endpoint that the model's page lists: chat completions, responses, completions, embeddings, "
                "images or audio."
            ),
            "In the app, choose the matching mode or update it if it does not know the newer endpoint.",
            "Or choose a model that this endpoint serves.",
        ),
        not_to_be_confused_with="A model that does not exist fails on every endpoint; this one works elsewhere.",
    ),
    Cause.REQUEST_METHOD_NOT_ALLOWED: Remedy(
        title="The wrong HTTP method",
        what_it_means=(
            "The address exists but does not accept this kind of call. Often the base URL starts with `http://`, and "
            "the redirect to `https://` turned a POST into a GET."
        ),
        what_happened=(
            "The server {host} refused this call ({status}) because this path does not accept the method that was "
            "used: {detail}."
        ),
        what_to_do=(
            "Write the base URL with `https://`.",
            "Remove a slash at the end or a doubled one, as these cause redirects too.",
            "With curl, send a body with `--json` or `-d`, so that it is a POST.",
        ),
        not_to_be_confused_with="A path that does not exist gives 404; this one exists but expects another method.",
    ),
    Cause.REQUEST_API_VERSION: Remedy(
        title="API version missing or wrong",
        what_it_means=(
            "The provider wants to know which version of its API you mean, and the value is absent, outdated or "
            "unknown."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the API version is missing or not supported: "
            "{detail}."
        ),
        what_to_do=(
            "For Azure set `api-version` (or `OPENAI_API_VERSION`) to a value from its list of API versions.",
            "For Anthropic send the header `anthropic-version: 2023-06-01`.",
            "Update the provider's library, which sets a fitting version by itself.",
        ),
        not_to_be_confused_with=(
            "A wrong path or deployment also gives 404 at Azure, so check the address if the version is right."
        ),
    ),
    Cause.REQUEST_CONTENT_POLICY: Remedy(
        title="Refused by a safety check",
        what_it_means=(
            "A safety system of the provider stopped the prompt or the answer. The service works, and other requests "
            "pass."
        ),
        what_happened="A safety check of the provider {provider} refused this request: {detail}.",
        what_to_do=(
            (
                "Read which category is named, then look for the part of the prompt or image that it concerns, quoted "
                "text included."
            ),
            "State the purpose and context plainly, or leave out the part that is not needed.",
            "If you consider it a mistake, report it to the provider with the request id from `whygate flows show ID`.",
            "In Azure your administrator can look at the content filter of the deployment.",
        ),
        not_to_be_confused_with=(
            "A blocked account or region fails with every request; here only this content was refused."
        ),
    ),
    Cause.REQUEST_NOT_FOUND: Remedy(
        title="The named item was not found",
        what_it_means=(
            "A file, thread, response or deployment that the call refers to by its id is not there for this key."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because an id in the call leads to nothing: {detail}."
        ),
        what_to_do=(
            "Check the id and whether the item was deleted, has expired or was never stored (`store=False`).",
            "Use the key of the same project and provider that made the item.",
            "In Azure compare the deployment name with the Deployments page; a new one needs some minutes.",
        ),
        not_to_be_confused_with=(
            "A path that does not exist also gives 404; here the path is right and the id in it is not."
        ),
    ),
    Cause.REQUEST_CONFLICT: Remedy(
        title="Two changes collided",
        what_it_means=(
            "Something else was changing the same item at this moment, or it is in a state that does not allow this "
            "step."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the call collided with another change: "
            "{detail}."
        ),
        what_to_do=(
            "Wait a second and try again; whygate repeats it only where doing it twice is harmless.",
            "Let one worker at a time write to the same thread, conversation or file.",
            "Check whether an earlier run is still active, and finish or cancel it first.",
        ),
        not_to_be_confused_with=(
            "A rate limit is about how many calls you make; here two of them wanted the same thing."
        ),
    ),
}
