"""What to do about keys, rights and the account."""

from collections.abc import Mapping

from gateway.diagnose.remedy import Remedy
from gateway.model.cause import Cause

ACCOUNT: Mapping[Cause, Remedy] = {
    Cause.AUTH_MISSING_KEY: Remedy(
        title="No API key was sent",
        what_it_means=(
            "The call arrived without any key. Most often the variable with the key is not set in the place where the "
            "app runs."
        ),
        what_happened="The call to the provider {provider} was refused ({status}) because it carried no key: {detail}.",
        what_to_do=(
            (
                "Set the key's variable (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `GEMINI_API_KEY`) where the app "
                "starts, then restart the app."
            ),
            "In Docker, CI or a service, pass the variable on explicitly; your shell's settings do not reach them.",
            "Check that a `.env` file is really loaded and lies in the working directory.",
        ),
        not_to_be_confused_with="A wrong key is a different fault; here there was none at all.",
    ),
    Cause.AUTH_MALFORMED_HEADER: Remedy(
        title="The key was sent wrongly",
        what_it_means=(
            "A key may well be there, but the header that carries it does not have the form the provider expects."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because it could not read the header with the key: "
            "{detail}."
        ),
        what_to_do=(
            (
                "Use the right form: OpenAI `Authorization: Bearer KEY`, Anthropic `x-api-key: KEY`, Azure `api-key: "
                "KEY`, Gemini `x-goog-api-key: KEY`."
            ),
            "Remove quotes, line breaks and a doubled `Bearer` around the key.",
            "Let the provider's own library set the header, if you can.",
        ),
        not_to_be_confused_with="A key that is readable but unknown is a different fault; here the form is wrong.",
    ),
    Cause.AUTH_INVALID_KEY: Remedy(
        title="The API key is not valid",
        what_it_means=(
            "The provider does not know this key. It may be mistyped, cut off, from another provider, or still a "
            "placeholder."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because it does not recognise the key: {detail}."
        ),
        what_to_do=(
            "Copy the key again from the provider's API keys page, without spaces or a line break at the end.",
            "Check that key and base URL belong to the same provider; for Azure also to the same resource and region.",
            "Check which variable wins: an old value in the shell or in `.env` often hides the new one.",
            "If it was never saved in full, make a new key.",
        ),
        not_to_be_confused_with=(
            "A key that used to work and was withdrawn may be reported differently; a missing right of a good key "
            "gives 403 as a rule."
        ),
    ),
    Cause.AUTH_EXPIRED_KEY: Remedy(
        title="The key no longer works",
        what_it_means="The key or login was good once and has been withdrawn, replaced, disabled or has run out.",
        what_happened=(
            "The provider {provider} refused this call ({status}) because the key or login is no longer accepted: "
            "{detail}."
        ),
        what_to_do=(
            (
                "Make a new key on the provider's API keys page and replace it wherever the app reads it, then restart "
                "the app."
            ),
            "With a sign-in in place of a key, log out and sign in again.",
            "If the key was reported as leaked, find where it was published before you make a new one.",
        ),
        not_to_be_confused_with="A mistyped key was never good; this one was, and making a new one helps.",
    ),
    Cause.AUTH_WRONG_ORGANIZATION: Remedy(
        title="Key and organisation do not match",
        what_it_means=(
            "The call names an organisation or project to which this key does not belong. The key itself may be fine."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the named organisation or project does not "
            "fit the key: {detail}."
        ),
        what_to_do=(
            (
                "Remove `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`, or `organization` and `project` in the code; the key "
                "usually suffices."
            ),
            "If you need them, copy the ids from the provider's Settings page while signed in as the key's owner.",
            "Or make a key inside the project that you want to use.",
        ),
        not_to_be_confused_with=(
            "Not being a member of the organisation at all needs an invitation; here a setting is probably wrong."
        ),
    ),
    Cause.AUTH_NOT_A_MEMBER: Remedy(
        title="Not a member of the organisation",
        what_it_means=(
            "The account behind the key does not belong to the organisation or workspace that it tries to use, or was "
            "removed from it."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the account is not a member of this "
            "organisation: {detail}."
        ),
        what_to_do=(
            "Ask an owner of the organisation for an invitation, then accept it from the e-mail.",
            "Check that you are signed in with the right account, for example work and not private.",
            "If you have left the organisation, use a key from your present one.",
        ),
        not_to_be_confused_with=(
            "A wrong organisation id in the settings looks alike, but an invitation does not help there."
        ),
    ),
    Cause.AUTH_PERMISSION: Remedy(
        title="The key lacks a permission",
        what_it_means=(
            "The key is valid, but it is not allowed to do this. The key's own scopes, your role or the project's "
            "settings can be the reason."
        ),
        what_happened="The provider {provider} refused this call ({status}) because the key may not do this: {detail}.",
        what_to_do=(
            (
                "Open the key on the API keys page and give it the missing right, or change it from restricted to full "
                "access."
            ),
            "Check that the project may use this model; OpenAI keeps that on the project's Limits page.",
            (
                "In Azure ask for the role Cognitive Services OpenAI User; with Google, enable the API and check the "
                "key's restrictions."
            ),
        ),
        not_to_be_confused_with=(
            "An unknown key gives 401 as a rule; here the provider knew who called and still said no."
        ),
    ),
    Cause.AUTH_IP_NOT_ALLOWED: Remedy(
        title="This address is not allowed",
        what_it_means=(
            "The account accepts calls only from certain network addresses, and this call came from another one."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the call came from an address that the "
            "account does not allow: {detail}."
        ),
        what_to_do=(
            (
                "Ask the account's administrator to add your exit address to the allow-list (Azure: the resource's "
                "Networking page)."
            ),
            "Check whether the address has changed, for example because you work from home or the server moved.",
            "For a private Azure endpoint, run the app inside the network that it belongs to.",
        ),
        not_to_be_confused_with=(
            "A region block is about countries and is the provider's rule; this list is kept by your own account."
        ),
    ),
    Cause.ACCOUNT_DEACTIVATED: Remedy(
        title="The account is switched off",
        what_it_means=(
            "The provider has closed, suspended or disabled this account or organisation. No key of it will work."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because the account is deactivated or suspended: "
            "{detail}."
        ),
        what_to_do=(
            "Look for an e-mail from the provider that gives the reason, in the account owner's mailbox as well.",
            "Write to the provider's support, or use the appeal form that the e-mail names.",
            "Check that you use the right account, if you have several.",
        ),
        not_to_be_confused_with=(
            "Missing credit or an unpaid bill can be settled on the Billing page; this needs the provider's decision."
        ),
    ),
    Cause.ACCOUNT_BILLING_INACTIVE: Remedy(
        title="Billing is not active",
        what_it_means=(
            "The account has no working payment: a bill is unpaid, a card was declined, or billing was never set up."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because billing is not active for this account: "
            "{detail}."
        ),
        what_to_do=(
            "Open the Billing page, pay what is open and add a working card.",
            (
                "With Google Cloud or Azure, check that the project or subscription is linked to an active billing "
                "account."
            ),
            "Allow some minutes after the payment, then try again.",
        ),
        not_to_be_confused_with=(
            "Used-up credit is an empty but working account; here the payment itself is the problem."
        ),
    ),
    Cause.ACCOUNT_VERIFICATION: Remedy(
        title="The account must be verified first",
        what_it_means=(
            "The provider wants a confirmation before it allows this, such as an e-mail link, a phone number or an "
            "identity check of the organisation."
        ),
        what_happened=(
            "The provider {provider} refused this call ({status}) because a verification is missing for the model "
            "{model} or this feature: {detail}."
        ),
        what_to_do=(
            "Complete it in the account's settings (OpenAI: Settings > Organization > General > Verify Organization).",
            "Open the confirmation e-mail, if one is waiting.",
            "Allow some time for it to take effect; until then use a model or a mode that needs no verification.",
        ),
        not_to_be_confused_with=(
            "A missing right can be given by your administrator; a verification is between the account's owner and the "
            "provider."
        ),
    ),
    Cause.ACCOUNT_PLAN_REQUIRED: Remedy(
        title="The plan does not include this",
        what_it_means="The model or feature belongs to another plan or tier than the one this account has.",
        what_happened=(
            "The provider {provider} refused this call ({status}) because the plan does not include the model {model} "
            "or this feature: {detail}."
        ),
        what_to_do=(
            "Compare your plan with what the model or feature needs on the provider's pricing page.",
            "Upgrade, or choose a model that your plan includes.",
            "Check that the app uses the account with the bigger plan, if you have several.",
        ),
        not_to_be_confused_with=(
            "A limit that shows as 0 belongs here, while one that is merely used up comes back by itself."
        ),
    ),
}
