"""A process that opens incidents and settles their outages, to be killed at any moment.

Arguments: a name for its series, and the seed of its chance. It prints a line a step.
"""

import random
import sys
from itertools import count

from signals.clients.postgres import open_pool
from signals.settings import PostgresSettings
from tests.integration.incidents.shop import Shop

CODES = ("DB_DOWN", "TIMEOUT", "NULL_REF")


def main(name: str, seed: str) -> None:
    """Open, settle and end incidents until the process is killed."""
    chance = random.Random(seed)
    with open_pool(PostgresSettings.from_env(), size=2) as pool:
        shop = Shop(pool)
        for step in count():
            opened = shop.opens(
                *(f"{chance.choice(CODES)}|/{name}{step}x{n}|prod" for n in range(chance.randint(1, 3))),
                minute=step * 2,
            )
            if chance.random() < 0.5:
                shop.pass_minutes(chance.choice((3, 6)))
            if chance.random() < 0.3:
                shop.ends(*opened)
            print(step, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
