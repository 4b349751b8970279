"""What to do when the provider's service itself fails."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

SERVICE: Mapping[Cause, Remedy] = {
    Cause.SERVICE_SERVER_ERROR: Remedy(
        title="The provider had an internal error",
        what_it_means=(
            "Something broke inside the provider. Your request is probably fine, although a few faulty requests are "
            "answered like this too."
        ),
        what_happened="The provider {provider} reported an error inside its own service ({status}): {detail}.",
        what_to_do=(
            "Try again in a few seconds; whygate repeats the call by itself where doing it twice is harmless.",
            "Look at the provider's status page (`status.openai.com`, `status.claude.com` or its own).",
            (
                "If the same request fails every time and others pass, take optional parameters and headers out one by "
                "one."
            ),
            "Send the request id from `whygate flows show ID` to the provider's support.",
        ),
        not_to_be_confused_with=(
            "A 502 or 503 means that the service could not be reached; a 500 means that it ran and failed."
        ),
    ),
    Cause.SERVICE_OVERLOADED: Remedy(
        title="The provider is overloaded",
        what_it_means=(
            "The provider has more work than it can handle at this moment. It is neither your limit nor your credit."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because it is too busy for the model {model} right "
            "now: {detail}."
        ),
        what_to_do=(
            "Wait a little; whygate retries with growing pauses within its budget.",
            "Use another model or provider for calls that cannot wait.",
            "Look at the provider's status page if it lasts longer than some minutes.",
        ),
        not_to_be_confused_with=(
            "Your own rate limit often shares the status 429, but this text speaks of load and not of your usage."
        ),
    ),
    Cause.SERVICE_UNAVAILABLE: Remedy(
        title="The provider's service is unavailable",
        what_it_means=(
            "The provider's front accepted the call, but found no working server behind it. This is usually short."
        ),
        what_happened=(
            "The provider {provider} reported an error ({status}) because no server of its own could take the call: "
            "{detail}."
        ),
        what_to_do=(
            "Try again in half a minute; whygate repeats the call within its retry budget where that is safe.",
            "Look at the provider's status page.",
            "For a relay or a server of your own, check that the model server behind it is running.",
        ),
        not_to_be_confused_with="Overload means too much work for working servers; here none could be reached.",
    ),
    Cause.SERVICE_TIMEOUT: Remedy(
        title="The provider ran out of time",
        what_it_means=(
            "The provider itself gave up waiting for its own answer. Long prompts and long answers make it more likely."
        ),
        what_happened=(
            "The provider {provider} gave up on this call ({status}) because its own time for it was over: {detail}."
        ),
        what_to_do=(
            "Try again, with streaming switched on (`stream=True`).",
            "Ask for less at once: a shorter prompt or a smaller `max_tokens`.",
            "For very long work use the provider's batch or background mode, if it has one.",
        ),
        not_to_be_confused_with=(
            "When the app's own timeout ends the call, no answer arrives at all; here the provider said so itself."
        ),
    ),
    Cause.SERVICE_MODEL_ERROR: Remedy(
        title="The model gave an unusable answer",
        what_it_means=(
            "The service worked, but what the model produced could not be used, for example a broken tool call or an "
            "empty answer."
        ),
        what_happened="The model {model} produced an answer that cannot be used: {detail}.",
        what_to_do=(
            "Ask again; the next answer may well be different, and it is charged as a new call.",
            "Simplify the tool or output schema, and say the expected form in the prompt.",
            "Raise `max_tokens` if the answer was cut short.",
            "Try another model with the same prompt to see whether the prompt is the cause.",
        ),
        not_to_be_confused_with="A refusal for safety reasons is a decision and names one; this is a malfunction.",
    ),
    Cause.SERVICE_INCIDENT: Remedy(
        title="The provider reports an incident",
        what_it_means=(
            "The provider's own status page shows a problem that fits this failure. There is nothing to repair on your "
            "side."
        ),
        what_happened="The call to the provider {provider} failed while its status page reports a problem: {detail}.",
        what_to_do=(
            "Follow the provider's status page and wait until it reports recovery.",
            "Use another model or provider for urgent work.",
            "Leave the app running; whygate retries within its budget and notices when calls succeed again.",
        ),
        not_to_be_confused_with=(
            "A status page can show trouble in another product; if only your calls fail, look at key and network as "
            "well."
        ),
    ),
    Cause.SERVICE_PROTOCOL_ERROR: Remedy(
        title="The answer breaks the HTTP rules",
        what_it_means=(
            "What came back was not a proper HTTP answer, so it could not be passed on safely. A faulty server or a "
            "device on the way wrote it."
        ),
        what_happened="The server {host} sent something that is not a valid HTTP answer: {detail}.",
        what_to_do=(
            "Try once more; if it works then, it was a passing fault.",
            "Check scheme and port of the base URL: a port that speaks another protocol answers like this.",
            "For a relay or a server of your own, update it and look in its log at this moment.",
        ),
        not_to_be_confused_with="A cut connection gives too little; here something arrived but was malformed.",
    ),
    Cause.SERVICE_STREAM_TRUNCATED: Remedy(
        title="The answer ended too soon",
        what_it_means=(
            "The streamed answer closed in good order, but without the mark that says it is complete. Text may be "
            "missing at the end."
        ),
        what_happened="The stream from the provider {provider} ended without its closing mark: {detail}.",
        what_to_do=(
            "Treat the answer as incomplete and ask again; whygate never presents it as finished.",
            "For a relay or a server of your own, update it, since some leave the closing mark out.",
            "If it happens often, send the request id from `whygate flows show ID` to the provider's support.",
        ),
        not_to_be_confused_with=(
            "A cut line breaks off without a goodbye; here the connection was closed properly but too early."
        ),
    ),
    Cause.SERVICE_STREAM_ERROR: Remedy(
        title="An error inside the answer",
        what_it_means=(
            "The answer started well, with status 200, and then the provider sent an error in the middle. What came "
            "before it is incomplete."
        ),
        what_happened="The provider {provider} reported an error in the middle of the streamed answer: {detail}.",
        what_to_do=(
            "Read the error text first; it can name a limit or a load problem that has a remedy of its own.",
            "Discard the partial answer and ask again after a short pause.",
            "In the app, treat error events in a stream as failures, since the status alone looks like success.",
        ),
        not_to_be_confused_with="A network cut leaves no message; here the provider itself said what went wrong.",
    ),
    Cause.SERVICE_STREAM_STALLED: Remedy(
        title="The answer stopped moving",
        what_it_means=(
            "The answer had begun, then nothing more came although the connection stayed open. The provider may have "
            "lost the job."
        ),
        what_happened="The provider {provider} began to answer and then fell silent: {detail}.",
        what_to_do=(
            "Stop this call and ask again; the part received is incomplete.",
            "If the model thinks for long, allow more silence in the app's timeout before you call it stuck.",
            "If it happens often with one model, look at the status page or try another model.",
        ),
        not_to_be_confused_with=(
            "Silence before the first sign of an answer is a different fault and may lie in the network."
        ),
    ),
}
