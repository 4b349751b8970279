"""What to do when whygate itself said no, and when nothing known fits."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

GATEWAY: Mapping[Cause, Remedy] = {
    Cause.PROXY_BUDGET_EXCEEDED: Remedy(
        title="The gateway budget is used up",
        what_it_means=(
            "Whoever runs this gateway has set a budget of money, tokens or calls for you, and it is spent. The "
            "provider was not asked."
        ),
        what_happened="whygate stopped this call because its budget for you is used up: {detail}.",
        what_to_do=(
            "Ask whoever runs the gateway to raise the budget, or wait for the next period.",
            "Look in `whygate tail` for an app that uses more than expected.",
            (
                "If you run it yourself, change the budget under `[team]` in the configuration; `whygate config show` "
                "prints it."
            ),
        ),
        not_to_be_confused_with=(
            "Credit and limits at the provider are not involved; this budget belongs to the gateway."
        ),
    ),
    Cause.PROXY_NOT_ALLOWED: Remedy(
        title="Not allowed by this gateway",
        what_it_means=(
            "Whoever runs this gateway has not opened this provider or model for you. The provider was not asked."
        ),
        what_happened=(
            "whygate did not pass this call on because the model {model} or its provider is not allowed for you: "
            "{detail}."
        ),
        what_to_do=(
            "Choose a provider and model that are open to you.",
            "Ask whoever runs the gateway to allow this one.",
            "If you run it yourself, look under `[team]` in the output of `whygate config show`.",
        ),
        not_to_be_confused_with=(
            "A missing right at the provider would come back in the provider's own words; this rule is the gateway's."
        ),
    ),
    Cause.PROXY_REQUEST_TOO_LARGE: Remedy(
        title="Bigger than the whole limit",
        what_it_means=(
            "This one call needs more than the limit allows in a whole period, so no wait would ever let it through."
        ),
        what_happened=(
            "whygate refused this call because it alone is larger than the entire limit for the model {model}: "
            "{detail}."
        ),
        what_to_do=(
            "Shorten the prompt, split the work, or set a smaller `max_tokens`.",
            "Use a model with a higher limit of tokens per minute.",
            (
                "If the limit comes from `[limits]` in your configuration and is too low, raise it; `whygate config "
                "show` prints it."
            ),
        ),
        not_to_be_confused_with=(
            "A normal rate limit passes with waiting; this call does not fit even into an empty period."
        ),
    ),
    Cause.PROXY_QUEUE_FULL: Remedy(
        title="The waiting line is full",
        what_it_means=(
            "More calls are waiting in whygate than it will hold, so new ones are turned away at once. Nothing was "
            "sent to the provider."
        ),
        what_happened="whygate turned this call away because too many others are already waiting: {detail}.",
        what_to_do=(
            (
                "Try again after the time in `Retry-After`; meanwhile whygate paces the waiting calls as fast as the "
                "limits allow."
            ),
            "Start fewer parallel jobs, or spread them over more time.",
            "If the limits at the provider are too low for the work, ask for a higher tier.",
            "With memory to spare, raise `queue_max` or `queue_max_bytes` under `[limits]`.",
        ),
        not_to_be_confused_with="The provider did not refuse this; its limit is only the reason why calls are waiting.",
    ),
    Cause.PROXY_QUEUE_TIMEOUT: Remedy(
        title="The wait would be too long",
        what_it_means=(
            "The call would have to wait for its turn for longer than the app is willing to. whygate therefore says so "
            "early."
        ),
        what_happened="whygate could not get a turn for this call before the app's time was up: {detail}.",
        what_to_do=(
            "Raise the app's timeout; whygate waits for as long as that allows and paces the calls.",
            "Make fewer calls at once, so that each one waits less.",
            "Ask the provider for higher limits, if the line is always long.",
        ),
        not_to_be_confused_with=(
            "The provider is not slow here; the time goes into waiting for a free place under its limits."
        ),
    ),
    Cause.PROXY_CIRCUIT_OPEN: Remedy(
        title="Paused while the provider recovers",
        what_it_means=(
            "Many calls in a row failed, so whygate stops sending for a short while and then tests carefully. That "
            "spares you long waits and helps the provider to recover."
        ),
        what_happened=(
            "whygate answered this call at once, without sending it, because the server {host} keeps failing: {detail}."
        ),
        what_to_do=(
            "Wait for the time in `Retry-After`; whygate waits too, tests with single calls and then paces the rest.",
            "Find the first failures in `whygate tail`; they show the real cause.",
            "Look at the provider's status page.",
        ),
        not_to_be_confused_with="This answer is only the consequence; the cause is in the calls that failed before it.",
    ),
    Cause.PROXY_OVERLOADED: Remedy(
        title="The gateway is at its limit",
        what_it_means=(
            "whygate has reached the limits of its own machine, such as memory or open connections, and turns calls "
            "away so as not to fall over."
        ),
        what_happened="whygate turned this call away because its own machine is at its limit: {detail}.",
        what_to_do=(
            (
                "Wait for the time in `Retry-After` and try again; whygate paces the rest and takes new calls once "
                "there is room."
            ),
            "Raise the number of open files before starting it (`ulimit -n 65536`), or give it more memory.",
            "Run fewer streams at once, or a second instance of whygate.",
        ),
        not_to_be_confused_with="The provider's overload is a different thing; this call never left the gateway.",
    ),
    Cause.PROXY_DRAINING: Remedy(
        title="The gateway is shutting down",
        what_it_means="whygate is being stopped or restarted. It finishes running calls and takes no new ones.",
        what_happened="whygate did not take this call because it is shutting down: {detail}.",
        what_to_do=(
            "Wait for the time in `Retry-After` and try again; a restarted whygate paces calls as before.",
            "If nobody restarts it, start it with `whygate start`.",
            "If it stops by itself, look at its last lines of output and at the memory of the machine.",
        ),
        not_to_be_confused_with="A crash gives a refused connection and no message; this was an orderly stop.",
    ),
    Cause.PROXY_LOOP_DETECTED: Remedy(
        title="The call would come back here",
        what_it_means=(
            "The way to the provider leads back to whygate itself, so the call would go round in circles. It was "
            "stopped before that."
        ),
        what_happened="whygate stopped this call because the server {host} leads back to whygate: {detail}.",
        what_to_do=(
            (
                "Look at `[network] proxy` and at `upstream` of each provider with `whygate config show`; none may "
                "name whygate's own address."
            ),
            "Start whygate from a shell in which `HTTPS_PROXY` does not point to it.",
            "In a chain of gateways, check that the second does not send back to the first.",
        ),
        not_to_be_confused_with="A refused destination is a rule; this is a circle in the settings.",
    ),
    Cause.PROXY_DESTINATION_BLOCKED: Remedy(
        title="This gateway will not go there",
        what_it_means=(
            "A gateway that others can reach connects only to providers and to hosts on its list, and never to private "
            "addresses. That keeps it from being misused."
        ),
        what_happened=(
            "whygate did not connect to the server {host} because that destination is not allowed here: {detail}."
        ),
        what_to_do=(
            "For a local or internal address, let the app go there directly: add the host to `NO_PROXY`.",
            "If it is a provider of your own, enter it as `upstream` under `[[providers]]` in the configuration.",
            "For any other host that apps need, add it to `[listen] allow_hosts`, or ask whoever runs the gateway to.",
        ),
        not_to_be_confused_with=(
            "A filter in the network blocks with a page of its own; this rule belongs to the gateway."
        ),
    ),
    Cause.PROXY_UNAUTHORIZED: Remedy(
        title="The gateway wants its own login",
        what_it_means=(
            "This gateway is open only to those who send its credential, and that was missing or wrong. It has nothing "
            "to do with the API key."
        ),
        what_happened="whygate refused this call ({status}) because its own credential was missing or wrong: {detail}.",
        what_to_do=(
            (
                "Give the app the gateway's address with its token: `HTTPS_PROXY=http://whygate:TOKEN@HOST:8080`, or a "
                "base URL like `http://HOST:8080/~TOKEN/openai/v1`. `whygate env` prints both where the gateway runs."
            ),
            "A program that cannot do either sends the token in the header `x-whygate-token` to the base URL.",
            "If you run it yourself, compare with `[listen] token`; after a change restart the app as well.",
        ),
        not_to_be_confused_with=(
            "A wrong API key is refused by the provider with 401; here the call did not leave the gateway."
        ),
    ),
    Cause.PROXY_INTERNAL_ERROR: Remedy(
        title="An error inside whygate",
        what_it_means="Something went wrong in whygate itself. It is our mistake, not yours and not the provider's.",
        what_happened="whygate ran into an error of its own while it handled this call: {detail}.",
        what_to_do=(
            "Try again; other calls are not affected.",
            (
                "Send the output of `whygate flows show ID` and your version to the whygate project as a bug report; "
                "check it for private text first."
            ),
            "If it blocks you, take whygate out of the way: start the app without it until this is fixed.",
        ),
        not_to_be_confused_with=(
            "A provider's error 500 would carry the provider's own text; this one was written here."
        ),
    ),
    Cause.UNKNOWN: Remedy(
        title="Cause not known",
        what_it_means=(
            "Nothing that whygate knows fits this failure, and it will not guess. What was seen is recorded, and it "
            "can be passed on."
        ),
        what_happened="This call failed in a way that matches nothing known: {detail}.",
        what_to_do=(
            "Open `whygate flows show ID` and read the answer itself; it may say more than we can judge.",
            "Send status, time and request id to the provider's support, if the answer came from there.",
            "If it came from a proxy or filter, send the same to the people who run that network.",
            (
                "Send the output of `whygate flows show ID` to the whygate project too, without private text, so that "
                "it can learn the case."
            ),
        ),
        not_to_be_confused_with=(
            "Unknown means neither harmless nor the provider's fault; it only says that the evidence fits no known "
            "cause."
        ),
    ),
}
