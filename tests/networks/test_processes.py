from __future__ import annotations

import pytest

from sketch2video.errors import UserError
from sketch2video.networks.processes import Share


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_shares_are_every_sample_once(count: int) -> None:
    shares = [Share(index, count) for index in range(count)]
    rows = [list(range(12))[share.rows] for share in shares]
    assert sorted(row for part in rows for row in part) == list(range(12))
    assert {share.of(12, "batch_size") for share in shares} == {len(part) for part in rows} == {12 // count}


@pytest.mark.parametrize(("number", "count"), [(8, 3), (2, 4)])
def test_a_batch_that_processes_cannot_share_evenly_is_refused(number: int, count: int) -> None:
    with pytest.raises(UserError, match=f"batch_size is {number}, which {count} processes cannot share evenly"):
        Share(0, count).of(number, "batch_size")
