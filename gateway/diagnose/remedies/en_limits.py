"""What to do about rate limits and used-up allowances."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

LIMITS: Mapping[Cause, Remedy] = {
    Cause.RATE_LIMIT_REQUESTS: Remedy(
        title="Too many requests per minute",
        what_it_means=(
            "The account may send only so many calls in a second or minute, and that number was reached. It passes by "
            "itself."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because too many calls for the model {model} came in "
            "a short time: {detail}."
        ),
        what_to_do=(
            "Send all apps that share the key through one whygate; it waits as the provider asks and paces the rest.",
            "Put several short questions into one call, or use the batch API for work that is not urgent.",
            "If it is constant, ask for a higher tier on the provider's Limits page.",
        ),
        not_to_be_confused_with="Used-up credit often has the same status 429, but waiting does not help there.",
    ),
    Cause.RATE_LIMIT_TOKENS: Remedy(
        title="Too many tokens per minute",
        what_it_means=(
            "The amount of text per minute that the account may use was reached. Long prompts and a high `max_tokens` "
            "count fully, even for few calls."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the token allowance per minute for the model "
            "{model} was reached: {detail}."
        ),
        what_to_do=(
            "Let it settle; whygate waits as the provider asks and paces later calls by their size.",
            "Shorten prompts and set `max_tokens` near to what you need, since many providers count it in advance.",
            "If it is constant, ask for a higher tier on the provider's Limits page.",
        ),
        not_to_be_confused_with="A prompt that is too long for the model is refused with 400 however long you wait.",
    ),
    Cause.RATE_LIMIT_DAILY: Remedy(
        title="The daily allowance is used up",
        what_it_means=(
            "The account has reached its number of calls or tokens for this day. whygate passes the answer on at once, "
            "because no short wait helps."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the daily allowance for the model {model} is "
            "used up: {detail}."
        ),
        what_to_do=(
            (
                "Wait for the reset that the provider states; many count a rolling 24 hours, others reset at midnight "
                "of their own time zone."
            ),
            "Use another model for today, since allowances usually count per model.",
            "Move from a free to a paid tier or ask for more on the provider's Limits page.",
        ),
        not_to_be_confused_with=(
            "A limit per minute is over in seconds; used-up credit does not come back by itself at all."
        ),
    ),
    Cause.RATE_LIMIT_CONCURRENCY: Remedy(
        title="Too many calls at once",
        what_it_means=(
            "The number of calls running at the same time is limited, and all places were taken. Slow or forgotten "
            "calls occupy places too."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because too many calls were running at the same "
            "time: {detail}."
        ),
        what_to_do=(
            "Send all apps that share the key through one whygate; it waits for a free place and paces new calls.",
            "Start fewer workers or parallel jobs in the app.",
            "Look for stuck calls with `whygate tail` and end the apps that hold them.",
        ),
        not_to_be_confused_with=(
            "A limit per minute counts how many calls begin; this one counts how many are still running."
        ),
    ),
    Cause.RATE_LIMIT_RAMP: Remedy(
        title="Traffic rose too fast",
        what_it_means=(
            "The calls are within the account's limits, but their number grew faster than the provider can follow. It "
            "asks for a gentler start."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the traffic rose too quickly: {detail}."
        ),
        what_to_do=(
            "Keep going; whygate waits and paces the calls up step by step.",
            "Start batch jobs with a few workers and add more over some minutes.",
            "Spread scheduled jobs so that they do not all start on the hour.",
        ),
        not_to_be_confused_with="Your account's limits are not reached, so a higher tier may change nothing.",
    ),
    Cause.RATE_LIMIT_UNKNOWN: Remedy(
        title="A limit was reached, unnamed",
        what_it_means=(
            "The answer says that there were too many calls but not which limit it was. It could be requests, tokens "
            "or calls at once."
        ),
        what_happened="The server {host} reported too many requests ({status}) without naming the limit: {detail}.",
        what_to_do=(
            "Wait a little; whygate waits as told, or a short while if nothing was stated, and then paces the calls.",
            "Compare with your usage on the provider's Limits or Usage page to find which limit it is.",
            "If it happens with hardly any calls, check credit and plan, and whether others use the same key.",
        ),
        not_to_be_confused_with=(
            "Used-up credit and overload can hide behind the same status; it is not certain which applies here."
        ),
    ),
    Cause.QUOTA_EXHAUSTED: Remedy(
        title="Credit is used up",
        what_it_means=(
            "The account has no credit or allowance left. Waiting or trying again does not help; the balance has to be "
            "filled up."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the account has no credit left: {detail}."
        ),
        what_to_do=(
            "Add credit on the provider's Billing page (OpenAI: Settings > Billing; Anthropic: Console > Billing).",
            "Check that the key belongs to the organisation or project that has the credit.",
            "After paying, allow some minutes and try again; a new key may be needed if the old one was made before.",
            "Note that a ChatGPT or Claude subscription does not pay for API calls.",
        ),
        not_to_be_confused_with="A rate limit has the same status 429 but passes by itself; this does not.",
    ),
    Cause.QUOTA_PLAN_WINDOW: Remedy(
        title="The plan's usage window is full",
        what_it_means=(
            "Your subscription allows so much use within some hours or days, and that is used up for now. It opens "
            "again at a fixed time."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the plan's current usage window is used up: "
            "{detail}."
        ),
        what_to_do=(
            "Wait until the reset time that the provider states; it is also on its Usage page.",
            "Use a smaller model, if the plan counts it less.",
            "Switch to an API key with credit, or to a bigger plan, if you cannot wait.",
        ),
        not_to_be_confused_with=(
            "A limit per minute is over soon, and API credit is a separate account; this is the subscription's own "
            "allowance."
        ),
    ),
    Cause.QUOTA_SPEND_LIMIT: Remedy(
        title="The spending limit is reached",
        what_it_means=(
            "Someone set a limit for spending, for the organisation, the project or the key, and it has been reached. "
            "There may still be credit."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because a spending limit of the account was reached: "
            "{detail}."
        ),
        what_to_do=(
            "Look at the limits of organisation, project and key on the provider's Limits page; the lowest one counts.",
            "Ask the account's owner to raise it, or wait for the start of the next period.",
            "Check Usage for an app that spends more than expected before raising it.",
        ),
        not_to_be_confused_with=(
            "Used-up credit has to be bought again; here the money may be there, but a limit that someone set stops it."
        ),
    ),
}
