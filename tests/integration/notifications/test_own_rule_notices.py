"""An incident of a rule that people wrote is told, and no value of its series acts in the message."""

from datetime import UTC, datetime
from typing import Final

import pytest

from signals.clients.postgres import transaction
from signals.domain.detection.buckets import minute_of
from signals.domain.detection.rule_text import parse_rule
from tests.integration.notifications.conftest import World
from tests.support.own_rules import Attributes, OwnEngine, write_rules
from tests.support.receivers import HttpReceiver, mail_receiver

RULE: Final = parse_rule(
    {
        "name": "odd-releases",
        "kind": "new_series",
        "on": {"event_type": "custom"},
        "per": ["release", "route"],
        "floor": 5,
    }
)
HOSTILE: Final = (
    "<!channel> <@U123> @everyone",
    "*bold* <https://evil.example|click>",
    "line\r\nBcc: victim@evil.example\r\n\r\nbody",
    "\u202egnp.exe\u200b\x1b[31m",
    '","action":"resolve","x":"',
    "a=b|release=c|other",
)


def opens(world: World, value: str) -> None:
    """Let the engine open an incident of a release and a route with this name."""
    minute = minute_of(datetime.now(UTC)) - 1
    write_rules(world.pool, [RULE], at=minute - 120)  # long enough to be sure
    with transaction(world.pool) as connection:
        connection.execute("UPDATE projects SET created_at = now() - interval '1 day'")
    engine = OwnEngine(world.pool)
    kind = (("environment", "prod"), ("event_type", "custom"))
    usual: Attributes = (*kind, ("release", "usual"), ("route", "/usual"))
    engine.count({(usual, minute - 120): 1})  # so that the project is old enough to be sure
    engine.count({((*kind, ("release", value), ("route", value)), minute): 6})
    engine.tick(minute)


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_of_an_own_series_stay_text_in_every_message(
    world: World, receiver: HttpReceiver, other: HttpReceiver, value: str
) -> None:
    world.slack(receiver)
    world.webhook(other)
    with mail_receiver() as mails:
        target = {"kind": "email", "to": ["a@b.example"], "sender": "c@d.example", "security": "none"}
        world.destination(target | {"host": "127.0.0.1", "port": mails.port})
        opens(world, value)
        world.run()
    [post] = receiver.accepted
    assert "odd-releases: 6 custom events" in post.json["text"]
    assert not {"<", ">"} & set(post.json["text"])
    assert (post.json["parse"], post.json["link_names"], post.json["mrkdwn"]) == ("none", False, False)
    [hook] = other.accepted
    assert hook.json["type"] == "incident.opened"
    assert hook.json["data"]["status"] == "open"
    assert "odd-releases: 6 custom events" in hook.json["data"]["title"]
    assert hook.json["data"]["title"].isprintable()
    [mail] = mails.mails
    assert mails.recipients == [["a@b.example"]]
    assert mail["To"] == "a@b.example"
    assert mail["Bcc"] is None
    assert "odd-releases" in mail["Subject"]
