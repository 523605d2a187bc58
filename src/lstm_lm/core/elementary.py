"""Logarithm, exponential, sine and cosine in float64, with the same bits on every machine.

The libraries' own functions differ in the last place between processors and between versions. These ones consist of
additions, multiplications and divisions, each of which IEEE 754 rounds in one way, and of scaling by powers of two.
They are within three units in the last place of the true value.
"""

import math

import numpy as np
from numpy.typing import NDArray

_LN2, _LN2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts, the first with trailing zeros, so that a small integer times it is exact (as fdlibm has them)."""

_ATANH = [1 / (2 * k + 1) for k in range(11, -1, -1)]
_EXP = [1 / math.factorial(k) for k in range(13, -1, -1)]
_COS = [(-1) ** k / math.factorial(2 * k) for k in range(9, -1, -1)]
_SIN = [(-1) ** k / math.factorial(2 * k + 1) for k in range(9, -1, -1)]
"""Taylor coefficients, highest power first: of atanh(s)/s, e^r, cos(r) and sin(r)/r, in powers of s^2, r, r^2, r^2."""

Array = NDArray[np.float64]


def log(x: Array) -> Array:
    """The natural logarithm of positive, normal numbers: x = 2^e m, ln m = 2 atanh((m - 1) / (m + 1))."""
    m, e = np.frexp(x)
    small = m < math.sqrt(0.5)
    m, e = np.where(small, 2 * m, m), e - small
    s = (m - 1) / (m + 1)
    return e * _LN2 + (e * _LN2_REST + 2 * s * _polynomial(_ATANH, s * s))


def exp(x: Array) -> Array:
    """e^x, infinite where that overflows: x = n ln 2 + r, e^x = 2^n e^r."""
    inside = np.clip(np.nan_to_num(x), -745.2, 709.8)
    n = np.rint(inside / math.log(2))
    r = (inside - n * _LN2) - n * _LN2_REST
    with np.errstate(over="ignore", under="ignore"):
        value = np.ldexp(_polynomial(_EXP, r), n.astype(np.int64))
    return np.where(np.isnan(x) | (x == np.inf), x, value)


def turn(u: Array) -> tuple[Array, Array]:
    """Cosine and sine of the angle 2 pi u, for 0 <= u <= 1, by Taylor series around the nearest quarter turn."""
    quarters = np.rint(4 * u)
    r = (u - quarters / 4) * (2 * math.pi)
    cosine, sine = _polynomial(_COS, r * r), r * _polynomial(_SIN, r * r)
    quarter = quarters.astype(np.int64) % 4
    return (
        np.choose(quarter, (cosine, -sine, -cosine, sine)),
        np.choose(quarter, (sine, cosine, -sine, -cosine)),
    )


def softmax(x: Array) -> Array:
    """e^x over the sum of all e^x."""
    e = exp(x - x.max())
    return e / math.fsum(e.tolist())


def _polynomial(coefficients: list[float], x: Array) -> Array:
    """The polynomial's value at x, by Horner's rule."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
