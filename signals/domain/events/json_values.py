"""How many values a JSON text holds, at least: what its parsed form costs, known before it is parsed."""

import re

# What stands outside strings, up to and with one comma or opening bracket. A string that is not closed ends
# with its line: no parser reads on there. Possessive throughout: flat memory, time linear in the text.
_STRING = rb'"(?:[^"\\\r\n]++|\\[^\r\n])*+(?:"|\\?+(?=[\r\n]|\Z))'
_UP_TO_MARK = rb'(?:[^",\[{]++|' + _STRING + rb")*+[,\[{]"


def holds_more_values(text: bytes, limit: int) -> bool:
    """Say whether more than `limit` commas and opening brackets stand outside the strings of `text`."""
    if text.count(b",") + text.count(b"[") + text.count(b"{") <= limit:
        return False
    return re.match(rb"(?:" + _UP_TO_MARK + rb"){%d}+" % (limit + 1), text) is not None
