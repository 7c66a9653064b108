"""Kinds of causes: each plants one, two or none in a world, and says what an answer must name."""

from collections.abc import Callable
from random import Random
from typing import Final

from signals.cases.kinds.contents import (
    certificate,
    country_only,
    currency,
    dependency,
    disk_full,
    flag_switched,
    large_requests,
    nightly_job,
    setting_changed,
    traffic_surge,
    without_referrer,
)
from signals.cases.kinds.hostile import (
    injection,
    late_events,
    poison,
)
from signals.cases.kinds.nothing import (
    blind,
    blind_canary,
    blind_ramp,
    blind_release,
    errors_only_blind,
    errors_only_zone,
    innocent_canary,
    innocent_flag,
    innocent_release,
)
from signals.cases.kinds.places import (
    device_kiosk,
    flag_attribute,
    known_tenant,
    new_tenant,
    old_clients,
    one_pod,
    plan_and_flag,
    pod_ramp,
    two_zones_apart,
    zone_and_payer,
    zone_down,
    zones_of_a_region,
)
from signals.cases.kinds.planting import Made
from signals.cases.kinds.releases import (
    release_canary,
    release_full,
    release_leak,
    release_on_device,
    release_unmarked,
)
from signals.cases.kinds.signups import (
    signups_blind,
    signups_channel,
    signups_form,
    signups_release,
)

Kind = Callable[[Random], Made]

KINDS: Final[dict[str, Kind]] = {
    kind.__name__: kind
    for kind in (
        release_full,
        release_canary,
        release_unmarked,
        release_leak,
        release_on_device,
        zone_down,
        zones_of_a_region,
        one_pod,
        pod_ramp,
        new_tenant,
        known_tenant,
        old_clients,
        device_kiosk,
        zone_and_payer,
        plan_and_flag,
        flag_attribute,
        two_zones_apart,
        currency,
        country_only,
        large_requests,
        without_referrer,
        dependency,
        certificate,
        disk_full,
        traffic_surge,
        flag_switched,
        setting_changed,
        nightly_job,
        innocent_canary,
        innocent_release,
        innocent_flag,
        blind,
        blind_canary,
        blind_release,
        blind_ramp,
        errors_only_zone,
        errors_only_blind,
        late_events,
        injection,
        poison,
        signups_channel,
        signups_form,
        signups_release,
        signups_blind,
    )
}
"""Every kind by its name."""
