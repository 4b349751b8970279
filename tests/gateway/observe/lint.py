"""What promtool checks of a text of metrics, and what Prometheus's guide to names asks, as far as it can be seen.

https://prometheus.io/docs/practices/naming/ and https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import math
import re
from collections import Counter
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_LABEL = re.compile(r"[a-z][a-z0-9_]*")
_BAD_UNITS = ("_ms", "_milliseconds", "_minutes", "_microseconds", "_kilobytes", "_mb", "_percent")
_TIMES = ("duration", "wait", "overhead", "time_to_first")
_OUR_TYPES = {"counter", "gauge", "histogram"}


def problems(text: str) -> list[str]:
    """Give everything that is wrong, one sentence each; nothing when all is well."""
    found = _of_lines(text)
    seen: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    for family in text_string_to_metric_families(text):
        found += _of_family(family)
        seen.update((sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples)
    return found + [f"{name}{dict(labels)} occurs {count} times" for (name, labels), count in seen.items() if count > 1]


def _of_lines(text: str) -> list[str]:
    found = [] if text.endswith("\n") else ["the last line has no end"]
    helped, typed = (
        re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE),
        re.findall(r"^# TYPE (\S+) \w+$", text, re.MULTILINE),
    )
    found += [f"{name} is told twice" for name, count in Counter(typed).items() if count > 1]
    found += [f"{name} has HELP or TYPE, not both" for name in set(helped) ^ set(typed)]
    for line in text.splitlines():
        name = re.split(r"[{ ]", line)[0]
        if not line.startswith("#") and name not in typed and re.sub(r"_(bucket|sum|count)$", "", name) not in typed:
            found.append(f"{name} has no TYPE")
    return found


def _of_family(family: Any) -> list[str]:
    name, found = family.name, []
    if not _NAME.fullmatch(name):
        found.append(f"{name} is no name")
    if family.type not in _OUR_TYPES:
        found.append(f"{name} is of type {family.type}")
    if family.type == "counter" and any(not sample.name.endswith("_total") for sample in family.samples):
        found.append(f"{name} counts and does not end with _total")
    if family.type != "counter" and name.endswith("_total"):
        found.append(f"{name} ends with _total and does not count")
    if any(unit in f"{name}_" for unit in (f"{one}_" for one in _BAD_UNITS)):
        found.append(f"{name} is not in a base unit")
    if any(word in name for word in _TIMES) and not name.endswith("_seconds"):
        found.append(f"{name} is a time and does not say seconds")
    for sample in family.samples:
        found += [f"{name} has the label {label}" for label in sample.labels if not _LABEL.fullmatch(label)]
        if math.isnan(sample.value) or (family.type != "gauge" and sample.value < 0):
            found.append(f"{sample.name} is {sample.value}")
    shapes = {tuple(sorted(set(sample.labels) - {"le"})) for sample in family.samples}
    if len(shapes) > 1:
        found.append(f"{name} has different labels: {shapes}")
    return found + (_of_histogram(family) if family.type == "histogram" else [])


def _of_histogram(family: Any) -> list[str]:
    name, found = family.name, []
    series: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for sample in family.samples:
        labels = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
        one = series.setdefault(labels, {"buckets": []})
        if sample.name.endswith("_bucket"):
            one["buckets"].append((float(sample.labels["le"]), sample.value))
        else:
            one[sample.name.removeprefix(name)] = sample.value
    for labels, one in series.items():
        bounds, counts = [at for at, _ in one["buckets"]], [count for _, count in one["buckets"]]
        if not bounds or bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
            found.append(f"{name}{labels} has the bounds {bounds}")
        if counts != sorted(counts):
            found.append(f"{name}{labels} is not cumulative")
        if "_count" not in one or "_sum" not in one or (counts and counts[-1] != one["_count"]):
            found.append(f"{name}{labels} has a +Inf that is not its count, or no sum")
    return found


def values(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Give every sample: name -> labels in order -> value."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def total(text: str, name: str, **labels: str) -> float:
    """Give the sum of the samples that carry these labels."""
    held = values(text).get(name, {})
    return sum(value for known, value in held.items() if set(labels.items()) <= set(known))
