"""Random numbers by their place: Philox4x32-7 (Salmon et al. 2011, "Parallel Random Numbers: As
Easy as 1, 2, 3"). Seven rounds are the fewest that pass all of BigCrush; ten, which
libraries take, are seven and a margin.

A counter goes in, four numbers of 32 bits come out; nothing is kept in between. So a draw depends
on the seed, the token and the unit alone: every engine, on any number of threads, on any device,
draws the same. The kernels compute it in `native/noise.h`.
"""

import torch
from torch import Tensor

ROUNDS = 7
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # what each round adds to the key
MASK = 0xFFFFFFFF


def philox(counter: tuple[Tensor | int, ...], key: int, like: Tensor) -> list[Tensor]:
    """Four int64 tensors of numbers from 0 to 2^32 - 1.

    Args:
        counter: four numbers of 32 bits, int64 tensors that broadcast or ints.
        key: 64 bits.
        like: what has the device of the result.
    """
    words = torch.broadcast_tensors(
        *(torch.as_tensor(word, dtype=torch.int64, device=like.device) for word in counter)
    )
    a, b, c, d = words
    keys = [key & MASK, key >> 32 & MASK]
    for _ in range(ROUNDS):
        # products of 64 bits: the sign that int64 gives them is of no account after the shift
        first, second = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (
            (second >> 32 & MASK) ^ b ^ keys[0],
            second & MASK,
            (first >> 32 & MASK) ^ d ^ keys[1],
            first & MASK,
        )
        keys = [(k + w) & MASK for k, w in zip(keys, WEYL, strict=True)]
    return [a, b, c, d]


def uniform(word: Tensor) -> Tensor:
    """float32 between 0 and 1, and neither: the upper 23 bits and a half, exactly."""
    return ((word >> 9).to(torch.float32) + 0.5) * 2.0**-23
