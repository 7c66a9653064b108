"""Drops of signups."""

from random import Random

from signals.cases.kinds.planting import Made, Truth, deploy, full_from, named
from signals.cases.traffic import ONSET, PlantedFault, World


def signups_channel(chance: Random) -> Made:
    """Most signups came from one channel, which ends."""
    channel = chance.choice(("seo", "social"))
    weights = {"seo": 12, "social": 12, "referral": 8, "events": 6} | {channel: 150}
    return World(
        signups_a_minute=5.5,
        signup_channels=weights,
        signup_kept=lambda a, at: 1.0 if at < ONSET - 8 else 0.0 if a["channel"] == channel else 0.45,
    ), named(channel)


def signups_form(chance: Random) -> Made:
    """Registering fails with errors of its own."""
    begins = ONSET - 8
    fault = PlantedFault(
        chance=lambda _, at: 0.9 if at >= begins else 0,
        code="CAPTCHA",
        message="captcha provider refused the key",
        route="/v2/register",
    )
    return World(
        faults=(fault,),
        signup_kept=lambda _, at: 1.0 if at < begins else 0.03,
        added=lambda _: {"route": "/v2/register", "method": "POST"},
        added_a_minute=lambda _: 7.0,
    ), Truth(facts=(("captcha",),), is_drop=True)


def signups_release(chance: Random) -> Made:
    """Signups stop with a release."""
    begins = ONSET - 8
    return World(
        rollout=full_from(begins),
        markers=(deploy(begins - chance.uniform(0, 1)),),
        signup_kept=lambda _, at: 1.0 if at < begins else 0.05,
    ), named("r813")


def signups_blind(chance: Random) -> Made:
    """Signups stop, everywhere alike."""
    kept = chance.uniform(0.02, 0.1)
    return World(signup_kept=lambda _, at: 1.0 if at < ONSET - 8 else kept), Truth(abstain=True)
