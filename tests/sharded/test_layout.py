"""Who counts what, and the sum of what is counted, without any process."""

import pytest
import torch

from limitcycle.errors import UserError
from limitcycle.sharded import Block, Part, dealt
from limitcycle.watching.refused import check

ONE = ("1", "1")


def part(name: str, where: str, entries: int, whole: int, digest: tuple[str, str] = ONE) -> Part:
    return Part(name, where, entries, whole, digest)


def test_what_all_hold_is_dealt_out_and_counted_once():
    everyone = [[part("a", "", 8, 8), part("b", "", 6, 6)] for _ in range(3)]
    names = dealt(everyone)
    assert sorted(name for each in names for name in each) == ["a", "b"]
    assert names == [{"a"}, {"b"}, set()]


def test_parts_stay_where_they_lie():
    everyone = [[part("a", f"Shard(0) {rank}/2", 4, 8)] for rank in (0, 1)]
    assert dealt(everyone) == [{"a"}, {"a"}]


def test_replicas_that_differ_are_refused_by_name():
    everyone = [[part("b", "", 4, 4)], [part("b", "", 4, 4, ("1", "2"))]]
    with pytest.raises(UserError, match="b is not the same on processes 0 and 1"):
        dealt(everyone)


def test_parts_that_are_no_whole_are_refused_by_name():
    with pytest.raises(UserError, match="parts of w add up to 3 of 8"):
        dealt([[part("w", "Shard(0) 0/2", 3, 8)]])


def test_a_block_adds_up_by_steps_that_all_have():
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(3, 2, 3, 7, generator=random, dtype=torch.float64)
    grams = rows @ rows.mT
    grams[..., 1, 2] = grams[..., 2, 1] = 0
    moments = torch.tensor([[1.0, torch.nan]] * 3)
    mine = Block([4, 5, 6], grams, moments, [1.0, None, None])
    other = Block([4, 5], grams[:2], moments[:2], [3.0, None])
    steps, found = mine.sum_with([other.to_bytes()])
    assert steps == [4, 5]
    assert torch.equal(found.grams, 2 * grams[:2])
    assert found.moments is not None
    assert found.moments[:, 0].tolist() == [2.0, 2.0]
    assert bool(found.moments[:, 1].isnan().all())
    assert found.losses[0] == 2.0
    assert found.said.tolist() == [True, False]
    assert mine.lacks(other.to_bytes())


@pytest.mark.parametrize(
    ("kind", "said"), [("DeepSpeedEngine", "DeepSpeed"), ("DistributedOptimizer", "Megatron")]
)
def test_flat_buffers_of_others_are_refused_with_the_way_out(kind: str, said: str):
    module = type(kind, (torch.nn.Module,), {})()
    module.inner = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with pytest.raises(UserError, match=rf"{said} keeps .* fully_shard"):
        check(module, optimizer)
