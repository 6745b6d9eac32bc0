"""Numbers as a reader wants them: accuracies in percent, differences in points, few digits."""

from datetime import UTC, datetime

from mhray.tuning.comparison import Interval
from mhray.tuning.schema import written
from mhray.tuning.yaml_lines import Value

_MINUTE, _HOUR = 60, 3600


def is_share(metric: str) -> bool:
    """Whether a metric is a share of the images, to be shown in percent.

    >>> is_share("val/left_acc"), is_share("test/acc_mean"), is_share("val/left_loss")
    (True, True, False)
    """
    name = metric.partition("/")[2]
    return name.endswith("_acc") or name in {"acc_mean", "acc_best", "acc_spread"}


def scaled(metric: str, value: float) -> float:
    """A value as an axis shows it."""
    return 100 * value if is_share(metric) else value


def axis(metric: str) -> str:
    """The label of an axis that shows a metric."""
    return f"{metric} (%)" if is_share(metric) else metric


def value_of(metric: str, value: float | None) -> str:
    """A value with its unit.

    >>> value_of("val/left_acc", 0.91234), value_of("val/loss", 0.123456), value_of("val/x", None)
    ('91.2 %', '0.1235', '-')
    """
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if is_share(metric) else f"{value:.4g}"


def percent(share: float) -> str:
    """A share of a whole in percent.

    >>> percent(0.704)
    '70 %'
    """
    return f"{100 * share:.0f} %"


def change_of(metric: str, change: float) -> str:
    """A difference of two values with its unit.

    >>> change_of("val/left_acc", -0.0123), change_of("val/loss", 0.5)
    ('-1.2 points', '+0.5')
    """
    return f"{100 * change:+.1f} points" if is_share(metric) else f"{change:+.3g}"


def interval_of(metric: str, change: Interval) -> str:
    """A difference with half the width of its interval.

    >>> interval_of("val/left_acc", Interval(0.021, 0.005))
    '+2.1 ± 0.5 points'
    """
    if is_share(metric):
        return f"{100 * change.mean:+.1f} ± {100 * change.half:.1f} points"
    return f"{change.mean:+.3g} ± {change.half:.2g}"


def number(value: float) -> str:
    """A searched number with three digits that count.

    >>> number(0.000123456), number(12.0), number(123456.0)
    ('0.000123', '12', '1.23e+05')
    """
    return f"{value:.3g}"


def short(value: Value) -> str:
    """A searched value: three digits of a number with more.

    >>> short(0.99702), short(8), short("silu"), short(True)
    ('0.997', '8', 'silu', 'true')
    """
    return number(value) if isinstance(value, float) else written(value).strip("'")


def duration(seconds: float) -> str:
    """How long, in the unit that fits.

    >>> duration(42.3), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def moment(seconds: float) -> str:
    """A time of day in UTC; a dash for none.

    >>> moment(1_700_000_000), moment(0)
    ('2023-11-14 22:13 UTC', '-')
    """
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "-"


def listed(words: list[str]) -> str:
    """Words in a sentence.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *front, last = words
    return f"{', '.join(front)} and {last}" if front else last


def counted(count: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "trial"), counted(1200, "trial")
    ('1 trial', '1200 trials')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"
