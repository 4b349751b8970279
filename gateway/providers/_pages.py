"""Where a person looks after a provider's account: pages for keys, limits, billing, status, models and settings.

Sources (read 2026-11): the providers' documentation that each provider's module names, the links in their own error
texts, and public client code that sends people to the same pages. A page that could not be found so is left out. Where
a provider has two platforms, the page belongs to the first host of its module (Moonshot: kimi.ai; Zhipu: z.ai), or it
is the page of the manual that leads to the console of each region (DashScope). Azure's are those of its public cloud.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai": "OpenAI",
        "anthropic": "Anthropic",
        "azure": "Azure OpenAI",
        "gemini": "Google Gemini",
        "deepseek": "DeepSeek",
        "groq": "Groq",
        "mistral": "Mistral",
        "openrouter": "OpenRouter",
        "xai": "xAI",
        "moonshot": "Moonshot",
        "dashscope": "DashScope",
        "zhipu": "Zhipu",
        "together": "Together AI",
        "fireworks": "Fireworks AI",
        "openai_compatible": "",
    }
)
"""As they write themselves."""

KINDS: Final = ("keys", "limits", "billing", "status", "models", "settings")
"""What a page is about; ``settings`` are those of the organisation."""

_ALL: Final[Mapping[str, Mapping[str, str]]] = {
    "openai": {
        "keys": "https://platform.openai.com/api-keys",
        "limits": "https://platform.openai.com/settings/organization/limits",
        "billing": "https://platform.openai.com/settings/organization/billing/overview",
        "status": "https://status.openai.com",
        "models": "https://developers.openai.com/api/docs/models",
        "settings": "https://platform.openai.com/settings/organization/general",
    },
    "anthropic": {
        "keys": "https://platform.claude.com/settings/keys",
        "limits": "https://platform.claude.com/settings/limits",
        "billing": "https://platform.claude.com/settings/billing",
        "status": "https://status.claude.com",
        "models": "https://platform.claude.com/docs/en/about-claude/models/overview",
        "settings": "https://platform.claude.com/settings/organization",
    },
    "azure": {
        "keys": "https://portal.azure.com",
        "limits": "https://aka.ms/oai/stuquotarequest",
        "status": "https://azure.status.microsoft",
        "models": "https://learn.microsoft.com/azure/foundry/foundry-models/concepts/models-sold-directly-by-azure",
    },
    "gemini": {
        "keys": "https://aistudio.google.com/api-keys",
        "limits": "https://aistudio.google.com/rate-limit",
        "billing": "https://aistudio.google.com/billing",
        "status": "https://aistudio.google.com/status",
        "models": "https://ai.google.dev/gemini-api/docs/models",
    },
    "deepseek": {
        "keys": "https://platform.deepseek.com/api_keys",
        "limits": "https://api-docs.deepseek.com/quick_start/rate_limit",
        "billing": "https://platform.deepseek.com/top_up",
        "status": "https://status.deepseek.com",
        "models": "https://api-docs.deepseek.com/quick_start/pricing",
    },
    "groq": {
        "keys": "https://console.groq.com/keys",
        "limits": "https://console.groq.com/settings/limits",
        "billing": "https://console.groq.com/settings/billing",
        "status": "https://groqstatus.com",
        "models": "https://console.groq.com/docs/models",
        "settings": "https://console.groq.com/settings/organization",
    },
    "mistral": {
        "keys": "https://console.mistral.ai/api-keys",
        "limits": "https://admin.mistral.ai/plateforme/limits",
        "billing": "https://admin.mistral.ai/organization/billing",
        "status": "https://status.mistral.ai",
        "models": "https://docs.mistral.ai/models/overview",
    },
    "openrouter": {
        "keys": "https://openrouter.ai/settings/keys",
        "limits": "https://openrouter.ai/docs/api/reference/limits",
        "billing": "https://openrouter.ai/settings/credits",
        "status": "https://status.openrouter.ai",
        "models": "https://openrouter.ai/models",
    },
    "xai": {
        "keys": "https://console.x.ai/team/default/api-keys",
        "limits": "https://console.x.ai/team/default/rate-limits",
        "billing": "https://console.x.ai/team/default/billing",
        "status": "https://status.x.ai",
        "models": "https://docs.x.ai/developers/models",
    },
    "moonshot": {
        "keys": "https://platform.kimi.ai/console/api-keys",
        "limits": "https://platform.kimi.ai/console/limits",
        "billing": "https://platform.kimi.ai/console/pay",
        "status": "https://status.moonshot.cn",
        "models": "https://platform.kimi.ai/docs/models",
    },
    "dashscope": {
        "keys": "https://www.alibabacloud.com/help/en/model-studio/get-api-key",
        "limits": "https://www.alibabacloud.com/help/en/model-studio/rate-limit",
        "billing": "https://www.alibabacloud.com/help/en/model-studio/bill-query-and-cost-management",
        "status": "https://status.alibabacloud.com",
        "models": "https://www.alibabacloud.com/help/en/model-studio/models",
    },
    "zhipu": {
        "keys": "https://z.ai/manage-apikey/apikey-list",
        "limits": "https://z.ai/manage-apikey/rate-limits",
        "billing": "https://z.ai/manage-apikey/billing",
        "models": "https://docs.z.ai/guides/overview/pricing",
    },
    "together": {
        "keys": "https://api.together.ai/settings/api-keys",
        "limits": "https://docs.together.ai/docs/rate-limits",
        "billing": "https://api.together.ai/settings/billing",
        "status": "https://status.together.ai",
        "models": "https://docs.together.ai/docs/serverless-models",
    },
    "fireworks": {
        "keys": "https://app.fireworks.ai/settings/users/api-keys",
        "limits": "https://docs.fireworks.ai/guides/quotas_usage/rate-limits",
        "billing": "https://app.fireworks.ai/account/billing",
        "status": "https://status.fireworks.ai",
        "models": "https://app.fireworks.ai/models",
    },
}

PAGES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {provider: MappingProxyType(dict(pages)) for provider, pages in _ALL.items()}
)
"""Provider's name -> what a page is about (`KINDS`) -> its address."""
