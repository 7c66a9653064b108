"""How surprising a count is: closed forms without a library."""

from math import log, sqrt


def gamma_poisson_z(count: float, mean: float, size: float) -> float:
    """Return the signed deviance root of `count` under a Gamma-Poisson law.

    The law has the given mean (above 0) and variance `mean + mean**2 / size`. The result is about
    standard normal when the count follows the law. Source: McCullagh and Nelder, Generalized Linear
    Models, section 2.3 (deviance).
    """
    total = count + size
    deviance = total * log((mean + size) / total)
    if count > 0:
        deviance += count * log(count / mean)
    root = sqrt(max(0.0, 2 * deviance))
    return root if count >= mean else -root


def wilson_lower_bound(part: int, whole: int, z: float) -> float:
    """Return the lower end of Wilson's interval for the share `part / whole` at `z` standard errors."""
    if whole <= 0:
        return 0.0
    share = part / whole
    square = z * z
    middle = share + square / (2 * whole)
    spread = z * sqrt((share * (1 - share) + square / (4 * whole)) / whole)
    return max(0.0, (middle - spread) / (1 + square / whole))
