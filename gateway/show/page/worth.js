// What a call cost, as precisely as anybody can say: two figures, and of the smallest sums one.

import { count } from "./format.js";
import { LOCALE, t } from "./words.js";

const LEAST_USD = 0.000001;

export function costText({ cost_usd: cost, saved_usd: saved }) {
  if (Number.isFinite(saved)) return t("cost.saved", { usd: about(saved) });
  return Number.isFinite(cost) && cost > 0 ? about(cost) : "";
}

export function tokensText({ tokens_in: input, tokens_out: output, tokens_estimated: guessed }) {
  if (input === null && output === null) return "";
  const tokens = t("fact.tokens.both", { in: count(input), out: count(output) });
  return guessed ? t("cost.estimated", { tokens }) : tokens;
}

function about(usd) {
  return usd > 0 && usd < LEAST_USD ? t("saved.usd.less", { usd: money(LEAST_USD) }) : t("saved.usd", { usd: money(usd) });
}

function money(usd) {
  const digits = usd >= 0.1 || usd === 0 ? { minimumFractionDigits: 2, maximumFractionDigits: 2 } : { maximumSignificantDigits: usd < 0.001 ? 1 : 2 };
  return new Intl.NumberFormat(LOCALE, { style: "currency", currency: "USD", ...digits }).format(usd);
}
