"""Makes a failing case smaller: steps are left out as long as the same fault shows."""

from collections.abc import Callable


def smallest(count: int, fails: Callable[[tuple[int, ...]], bool], limit: int = 60) -> tuple[int, ...]:
    """The steps of `range(count)` that are left when no further one can go; at most `limit` trials."""
    kept = tuple(range(count))
    size = max(count // 2, 1)
    while size and limit > 0:
        for start in range(0, len(kept), size):
            trial = kept[:start] + kept[start + size :]
            limit -= 1
            if limit > 0 and trial != kept and fails(trial):
                kept = trial
                break
        else:
            size //= 2
    return kept
