"""Says why a key was not made, in words for people who see the list of keys."""

from serve_apps.console.words import Clock
from signals.services.access.provisioning import NoRoomForKey, ProvisioningRefused


def sentence_of(refusal: ProvisioningRefused, clock: Clock) -> str:
    """Return a refusal as a sentence; keys are named as the list of keys names them."""
    if not isinstance(refusal, NoRoomForKey):
        text = str(refusal)
        return f"{text[:1].upper()}{text[1:]}."
    named = " and ".join(
        f"{key.hash_prefix}… ({f'used {clock.ago(key.last_used_at)}' if key.last_used_at else 'never used'})"
        for key in refusal.keys
    )
    return (
        f"This project has {len(refusal.keys)} valid keys of scope {refusal.scope}, as many as it may have: "
        f"{named}. Revoke one of them in the settings first."
    )
