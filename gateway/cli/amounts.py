"""Numbers as people write them."""


def amount_text(value: float) -> str:
    """Give a number as people write it: whole from 100 on, with one digit below, with two below one."""
    text = f"{value:,.0f}" if value >= 100 else f"{value:.{1 if value >= 1 or not value else 2}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate_text(per_second: float) -> str:
    """Give how often something happens."""
    return f"{amount_text(per_second)}/s"


def span_text(seconds: float) -> str:
    """Give a time in its largest sensible unit: ``50 ms``, ``2.1 s``, ``12 s``, ``5 min``, ``3 h``, ``2 days``."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    for below, unit_seconds, unit in ((90, 1, "s"), (5_400, 60, "min"), (129_600, 3_600, "h")):
        if seconds < below:
            return f"{amount_text(seconds / unit_seconds if seconds < 10 else round(seconds / unit_seconds))} {unit}"
    return f"{seconds / 86_400:.0f} days"


def size_text(count: float) -> str:
    """Give a number of bytes."""
    return f"{count / 1_000_000:.1f} MB" if count >= 100_000 else f"{count / 1000:.1f} kB"
