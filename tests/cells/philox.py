"""Philox4x32 in NumPy: random numbers that are a function of a key and a counter.

Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
"""

import numpy as np

# The multipliers of a round, and what the key grows by after it: the golden ratio and sqrt(3) - 1.
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox4x32(counter: np.ndarray, key: np.ndarray, rounds: int = 7) -> np.ndarray:
    """Four random words for each counter.

    Args:
        counter: (..., 4) words of 32 bits, any integer dtype.
        key: (..., 2) words of 32 bits; it broadcasts against the counters.
    Returns:
        (..., 4) uint32.
    """
    c0, c1, c2, c3 = (np.asarray(counter)[..., k].astype(np.uint64) for k in range(4))
    k0, k1 = (np.asarray(key)[..., k].astype(np.uint64) for k in range(2))
    for _ in range(rounds):
        a, b = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2  # 32 bits times 32 bits fit in 64
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + WEYL[0]) & LOW, (k1 + WEYL[1]) & LOW
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), -1).astype(np.uint32)
