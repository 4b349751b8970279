"""What to do about faults in the app that makes the calls."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

CLIENT: Mapping[Cause, Remedy] = {
    Cause.CLIENT_DISCONNECTED: Remedy(
        title="The app hung up",
        what_it_means=(
            "The app closed the connection before the answer was complete. Someone may have pressed stop, or the app "
            "ended or crashed."
        ),
        what_happened="The app closed the connection before the provider {provider} had finished: {detail}.",
        what_to_do=(
            "If someone cancelled on purpose, nothing needs to be done.",
            "Look in the app's own log at this moment for a crash, a restart or a cancelled task.",
            "If it happens after the same number of seconds each time, raise the app's timeout.",
        ),
        not_to_be_confused_with=(
            "When the provider or the network cuts the line, the app is still waiting; here it left first."
        ),
    ),
    Cause.CLIENT_TIMEOUT_TOO_SHORT: Remedy(
        title="The app's timeout is too short",
        what_it_means=(
            "The app gave up before the answer could be ready. The provider was still working, and that work may be "
            "charged."
        ),
        what_happened="The app stopped waiting for the model {model} before its answer was due: {detail}.",
        what_to_do=(
            "Raise the timeout in the app or library, for example `timeout=600` in the OpenAI and Anthropic clients.",
            "Switch streaming on, so that data arrives early and steadily.",
            "Ask for shorter answers or use a faster model.",
            "Check every layer: a web server or a function platform in front of the app may have a limit of its own.",
        ),
        not_to_be_confused_with=(
            "A provider that times out sends an error of its own; here the app was gone before one could come."
        ),
    ),
    Cause.CLIENT_RETRY_STORM: Remedy(
        title="The app retries too often",
        what_it_means=(
            "Several layers of the app repeat the same failing call, each on its own, so that one failure becomes "
            "many. That uses up limits and slows recovery."
        ),
        what_happened="The app sent the same call again and again in a short time: {detail}.",
        what_to_do=(
            (
                "Leave retries to one layer: set `max_retries=0` in the library or in the framework, since whygate "
                "retries already."
            ),
            "Stop the app's own loop on errors that cannot pass by themselves, such as keys, credit and bad requests.",
            "Watch `whygate tail` while you change it, to see the number fall.",
        ),
        not_to_be_confused_with="Heavy but normal use sends different calls; here the same one returns.",
    ),
    Cause.CLIENT_SLOW_READER: Remedy(
        title="The app reads too slowly",
        what_it_means=(
            "The answer is there, but the app does not collect it quickly enough, so the connection fills up and is "
            "finally closed."
        ),
        what_happened="The app did not read the answer from the provider {provider} fast enough: {detail}.",
        what_to_do=(
            "Keep slow work, such as databases or printing, out of the loop that reads the stream.",
            "In async code look for calls that block; move them to a thread.",
            "Check whether the machine is out of processor time or memory.",
        ),
        not_to_be_confused_with="A slow provider sends late; here the data was waiting for the app.",
    ),
    Cause.CLIENT_MALFORMED_REQUEST: Remedy(
        title="The app sent broken HTTP",
        what_it_means="What the app sent is not a proper HTTP request, so it could not be understood or passed on.",
        what_happened="The app sent something that is not a valid HTTP request: {detail}.",
        what_to_do=(
            "Look for line breaks in header values; a key read from a file often ends with one.",
            "Check scheme and port: `https://` sent to a port that expects `http://` looks like this.",
            "Update the HTTP library, or try the same call with curl to compare.",
        ),
        not_to_be_confused_with="Invalid JSON in the body is a different fault; here the frame around it is broken.",
    ),
    Cause.CLIENT_CA_NOT_TRUSTED: Remedy(
        title="The app does not trust whygate",
        what_it_means=(
            "To see why calls fail, whygate shows the app a certificate of its own, and the app does not know it yet."
        ),
        what_happened="The app refused whygate's certificate for the server {host}: {detail}.",
        what_to_do=(
            "Start the app with `whygate run -- CMD`; it sets what the app needs for this one run.",
            (
                "Or take the file that `whygate ca path` prints and name it in `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` "
                "or `NODE_EXTRA_CA_CERTS`."
            ),
            "In a container, copy the file in and set the variable there.",
            "If the app accepts only built-in certificates, set its base URL to whygate in place of the proxy.",
        ),
        not_to_be_confused_with=(
            "If the certificate was signed by a company product and not by whygate, the company's root certificate is "
            "needed."
        ),
    ),
    Cause.CLIENT_CA_BUNDLE_MISCONFIGURED: Remedy(
        title="A certificate file is missing",
        what_it_means=(
            "A setting on this machine names a certificate file that is not there or cannot be read. The app fails "
            "before it connects anywhere."
        ),
        what_happened="The app's certificate setting points to a file that cannot be used: {detail}.",
        what_to_do=(
            (
                "Print the variables `SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE` and "
                "`NODE_EXTRA_CA_CERTS`, and check each path."
            ),
            "Remove the one that points nowhere, or correct it; removed virtual environments often leave one behind.",
            "Start the app with `whygate run -- CMD`, which sets them to a file that exists.",
        ),
        not_to_be_confused_with=(
            "A certificate that is not trusted is a different fault; here the list of trusted ones could not even be "
            "opened."
        ),
    ),
    Cause.CLIENT_NO_PROXY_MISSING: Remedy(
        title="Local calls go to the proxy",
        what_it_means=(
            "The app sends calls for this machine or the internal network through the proxy, although they should go "
            "straight there."
        ),
        what_happened="A call for the local or internal server {host} was sent through the proxy: {detail}.",
        what_to_do=(
            (
                "Add the host to `NO_PROXY` (and `no_proxy`), for example `NO_PROXY=localhost,127.0.0.1,HOST`, and "
                "restart the app."
            ),
            "Start the app with `whygate run -- CMD`, which excludes localhost for you.",
            "In Docker Compose, add the names of the other services too.",
        ),
        not_to_be_confused_with="A local server that is not running refuses the connection; here it was never asked.",
    ),
    Cause.CLIENT_PROXY_UNSUPPORTED_SCHEME: Remedy(
        title="The app cannot use this proxy",
        what_it_means="The proxy setting names a kind of proxy that the app's library does not support, often SOCKS.",
        what_happened="The app could not use its proxy setting because of the kind of proxy it names: {detail}.",
        what_to_do=(
            "Unset `ALL_PROXY` and `all_proxy` if they hold a `socks` address that you do not need.",
            ('If you need SOCKS, install the extra: `pip install "httpx[socks]"` or `pip install "requests[socks]"`.'),
            "Write `http://127.0.0.1:8080` as whygate's proxy address, or use `whygate run -- CMD`.",
        ),
        not_to_be_confused_with="A proxy that cannot be reached is a different fault; here the app did not even try.",
    ),
    Cause.CLIENT_OUTDATED_SDK: Remedy(
        title="The app's library is too old",
        what_it_means=(
            "The app uses an old version of the provider's library, which calls things that no longer exist or clashes "
            "with newer parts."
        ),
        what_happened=(
            "The app's library uses something that is no longer available at the provider {provider}: {detail}."
        ),
        what_to_do=(
            (
                "Update it: `pip install --upgrade openai` or `anthropic`, or `npm install openai@latest`, and restart "
                "the app."
            ),
            "Read the library's migration notes if the names of calls have changed.",
            "Check the version the app really loads with `pip show openai` or `npm ls openai` in its environment.",
        ),
        not_to_be_confused_with="A mistyped URL or model fails with a current library too.",
    ),
}
