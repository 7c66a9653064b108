"""The forms of secrets and personal data in text: patterns and checksums, each linear in the text.

Recognised: credentials (private keys, in URLs, headers and `name=value`, JWTs, vendors' prefixes, long
random strings), e-mail addresses, card numbers (Luhn), IBANs (mod 97), phone numbers that begin with `+`.
Left alone on purpose: IP addresses (who is on call needs them), UUIDs and ULIDs (ids by convention), other
phone numbers (order numbers look the same), names and postal addresses (they have no form).
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

TextSpan = tuple[int, int]
Spans = Callable[[re.Match[str]], Iterator[TextSpan]]
"""Says which spans of a match are secrets, in ascending order."""

AnyOf = tuple[str, ...]


class SecretRule(NamedTuple):
    """A form of secrets, and three conditions for a text to hold one: they cost less than the pattern.

    Of each group in `needs` one text stands in every match, compared in lower case. A match holds at least
    `min_digits` digits, and `min_run` characters of ASCII tokens in a row.
    """

    kind: str
    pattern: re.Pattern[str]
    spans: Spans
    needs: tuple[AnyOf, ...] = ()
    min_digits: int = 0
    min_run: int = 0


PLACEHOLDER: Final = re.compile(r"\[[a-z]+-\d+\]")

RANDOM_CHANGES: Final = 0.4  # of neighbours that differ in kind: random base64 has 0.62, camel case 0.3
MIN_RANDOM_DIGITS: Final = 3
MAX_KNOWN_CHARS: Final = 64  # of a name that is remembered: 4,096 of them take 0.5 MB
MIN_RUN: Final = 32  # characters of a random token
CARD_DIGITS: Final = range(14, 20)  # those of `_ISSUERS`
_ISSUERS: Final = re.compile(  # Diners; American Express; Visa; Mastercard; JCB, Discover, UnionPay, Maestro
    r"3(?:0[0-5]|[689]\d)\d{11}|3[47]\d{13}|4\d{15}(?:\d{3})?"
    r"|(?:5\d{3}|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|(?:35|6\d)\d{14,17}"
)
"""First digits and lengths that issuers have: every tenth number passes the check of the last digit."""
_DOUBLED: Final = str.maketrans("0123456789", "0246813579")  # twice the digit, and the sum of its digits
MIN_IBAN_CHARS: Final = 15  # Norway; ISO 13616

_NAMES: Final = (
    r"(?:pass(?:word|wd|phrase|code)|(?<=_)pass\b|pwd|secret(?!ar)"
    r"|(?<!unexpected )token(?!s|i[sz]|[_-]?(?:count|type|limit))|api[_-]?key"
    r"|(?:auth|access|private|signing|account)[_-]?key|authori[sz]ation|credential|session[_-]?id|sessid"
    r"|\bcv[vc]\b)"
)
_SECRET_NAME: Final = re.compile(rf"{_NAMES}|cookie|^(?:auth|pass|pin|otp|ssn)$", re.IGNORECASE)

_NO_VALUE: Final = (
    r"(?![\w.-]*(?:error|exception|expired|failure|fault|invalid|missing|not_?found|required|denied):"
    r"|[\w-]*\.[\w.-]*:\d{1,5}(?![\w.])|[\w.]*-[\w.-]*:\d{1,5}(?![\w.]))"
)
"""Stands behind a name without a value: `TokenExpiredError: …`, a line in `token.ts:88`, a port of a host."""
_MARK: Final = PLACEHOLDER.pattern
_STOP: Final = r"\s,;&\"'<>\\"
_WORD: Final = rf"{_MARK}|(?:(?:bearer|basic|digest|token)\s+)?[^{_STOP}]*[^{_STOP})\]}}.]"
_PEM: Final = "-----{} [A-Z ]{{0,32}}PRIVATE KEY-----"
_VENDORS: Final = (
    r"sig_[a-z]+_[\w-]{16,}|(?:sk|rk|pk|whsec)[_-](?:live|test|proj|ant|or|svcacct)[_-][\w-]{8,}"
    r"|sk-[\w-]{20,}|whsec_[\w+/=]{16,}|gh[oprsu]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{24,}|ya29\.[\w-]{8,}"
    r"|SG\.[\w-]{12,}(?:\.[\w-]+)?|npm_\w{20,}|pypi-[\w-]{20,}|do[opr]_v1_\w{16,}|hf_\w{16,}"
    r"|shp(?:at|ca|pa|ss)_\w{16,}|sq0[a-z]{3}-[\w-]{16,}|hv[sbr]\.[\w-]{16,}|eyJ[\w-]{8,}(?:\.[\w-]*){0,4}"
)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is secret in any form."""
    return _is_secret_name(name) if len(name) <= MAX_KNOWN_CHARS else _SECRET_NAME.search(name) is not None


@lru_cache(maxsize=4096)
def _is_secret_name(name: str) -> bool:
    """Remember short names: those of a program come with every event."""
    return _SECRET_NAME.search(name) is not None


def _whole(match: re.Match[str]) -> Iterator[TextSpan]:
    yield match.span(match.lastgroup or 0)


def _random(match: re.Match[str]) -> Iterator[TextSpan]:
    run = match.group()
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" if c.islower() else "-" for c in run]
    if run.isalnum() and len(set(kinds)) == 2:  # hex and the like; long names of classes have all three
        looks_random = min(kinds.count("d"), len(run) - kinds.count("d")) >= MIN_RANDOM_DIGITS
    else:
        changes = sum(a != b for a, b in pairwise(kinds))
        looks_random = {"d", "u", "l"} <= set(kinds) and changes >= RANDOM_CHANGES * len(run)
    if looks_random:
        yield match.span()


def _cards(match: re.Match[str]) -> Iterator[TextSpan]:
    """Find card numbers among groups of digits: a number may stand right beside one."""
    groups = [
        (match.start() + g.start(), match.start() + g.end()) for g in re.finditer(r"\d+", match.group())
    ]
    first = 0
    while first < len(groups):
        found = None
        digits = ""
        for last in range(first, len(groups)):
            digits += match.string[slice(*groups[last])]
            if len(digits) > CARD_DIGITS[-1]:
                break
            if len(digits) in CARD_DIGITS and _ISSUERS.fullmatch(digits) and _luhn(digits):
                found = last
        if found is not None:
            yield groups[first][0], groups[found][1]
        first = first + 1 if found is None else found + 1


def _luhn(digits: str) -> bool:
    """Check the last digit. Source: ISO/IEC 7812-1, annex B."""
    doubled = digits[-2::-2].translate(_DOUBLED)
    return sum(map(int, digits[-1::-2] + doubled)) % 10 == 0


def _ibans(match: re.Match[str]) -> Iterator[TextSpan]:
    """Find the longest IBAN that the match begins with: capital words may follow it."""
    text = match.group()
    ends = [len(text), *(gap.start() for gap in reversed(list(re.finditer("[ -]", text))))]
    for end in ends:
        iban = re.sub("[ -]", "", text[:end])
        if (
            len(iban) >= MIN_IBAN_CHARS
            and int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1
        ):
            yield match.start(), match.start() + end
            return


_KEYWORDS: Final = (
    *("pass", "pwd", "secret", "token", "key", "authori", "credential", "session", "sessid", "cvc", "cvv"),
)  # one for each part of `_NAMES`
_PREFIXES: Final = (
    *("sig_", "sk_", "sk-", "rk_", "rk-", "pk_", "pk-", "whsec", "gho_", "ghp_", "ghr_", "ghs_", "ghu_"),
    *("github_", "glpat-", "xox", "xapp-", "akia", "asia", "aiza", "ya29.", "sg.", "npm_", "pypi-", "_v1_"),
    *("hf_", "shpat_", "shpca_", "shppa_", "shpss_", "sq0", "hvs.", "hvb.", "hvr.", "eyj"),
)  # one for each part of `_VENDORS`

RULES: Final = (
    # Up to the end of the text when the key is cut off.
    SecretRule(
        "secret",
        re.compile(rf"(?s){_PEM.format('BEGIN')}.*?(?:{_PEM.format('END')}|\Z)"),
        _whole,
        needs=(("-----begin ",),),
    ),
    # A password may hold a slash; what follows a colon and ends at a slash is a port.
    SecretRule(
        "secret",
        re.compile(r"(?<=://)(?:[^\s/\"<>]+|[^\s/:@\"<>]*:(?!\d{1,5}/)[^\s@\"<>]{1,256})(?=@)"),
        _whole,
        needs=(("@",), ("://",)),
    ),
    SecretRule(
        "secret",
        re.compile(r"(?i)cookie\b\\?[\"']?\s{0,8}[:=]\s{0,8}(?P<value>[^\r\n]+)"),
        _whole,
        needs=(("cookie",),),
    ),
    SecretRule(
        "secret",
        re.compile(
            rf"(?i){_NAMES}{_NO_VALUE}[\w.-]{{0,32}}\\?[\"']?\s{{0,8}}(?:[:=]|%3[ad])>?\s{{0,8}}"
            rf"(?:(?P<quote>\\?[\"'])(?P<quoted>(?:(?!(?P=quote))[^\r\n])+)|(?P<word>{_WORD}))"
        ),
        _whole,
        needs=((":", "=", "%3"), _KEYWORDS),
    ),
    SecretRule(
        "secret",
        re.compile(rf"(?i)(?<!\S)--?[\w-]{{0,32}}?{_NAMES}[\w-]{{0,32}}\s+(?P<value>[^\s-]\S*)"),
        _whole,
        needs=(("-",), _KEYWORDS),
    ),
    SecretRule(
        "secret",
        re.compile(r"(?i)\bbearer\s+(?P<value>[\w.~+/=-]{8,})"),
        _whole,
        needs=(("bearer",),),
    ),
    SecretRule(
        "secret",
        re.compile(r"\b[Bb]asic\s+(?P<value>(?=\S{0,64}(?:[0-9=]|[a-z][A-Z]))[A-Za-z0-9+/]{8,}={0,2})"),
        _whole,
        needs=(("basic",),),
    ),
    SecretRule(
        "token",
        re.compile(rf"(?<![A-Za-z0-9])(?:{_VENDORS})"),
        _whole,
        needs=(_PREFIXES,),
    ),
    SecretRule(
        "email",
        re.compile(r"(?<![\w.+-])[\w.+-]++(?:@|%40)(?:[\w-]+\.)+(?:xn--[\w-]+|[^\W\d_]{2,})"),
        _whole,
        needs=(("@", "%40"),),
    ),
    # Before numbers: a long token may hold the digits of a valid card.
    SecretRule(
        "token",
        re.compile(r"(?<![\w+/-])[A-Za-z0-9+/]{40,}+={0,2}(?![\w-])"),
        _random,
        min_digits=1,
        min_run=40,
    ),
    SecretRule(
        "token",
        re.compile(r"(?<![\w-])[A-Za-z0-9_-]{32,}={0,2}"),
        _random,
        min_digits=1,
        min_run=MIN_RUN,
    ),
    SecretRule(
        "token",
        re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{32,}"),
        _random,
        min_digits=MIN_RANDOM_DIGITS,
        min_run=MIN_RUN,
    ),
    SecretRule(
        "iban",
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?\b"),
        _ibans,
        min_digits=2,
    ),
    SecretRule(
        "card",
        re.compile(r"(?<!\d)(?<!\d\.)\d{3,19}(?:(?:[-\u2010-\u2015]|\s{1,2})\d{3,19})*(?!\d)"),
        _cards,
        min_digits=CARD_DIGITS[0],
    ),
    SecretRule(
        "phone",
        re.compile(r"(?<![\w+])\+[1-9](?:[ .()/-]{0,2}\d){8,14}(?!\d)"),
        _whole,
        needs=(("+",),),
        min_digits=9,
    ),
)
"""In this order: an earlier find hides its text from the later ones."""
