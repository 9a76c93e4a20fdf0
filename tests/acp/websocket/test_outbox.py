"""The outbox numbers frames, steps back to what a peer lacks, and never keeps more than its limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from punie.acp.transports.websocket.outbox import Outbox


def filled(*frames: bytes, replay_limit: int = 100) -> Outbox:
    outbox = Outbox(replay_limit=replay_limit)
    for frame in frames:
        outbox.add(frame)
    return outbox


def taken(outbox: Outbox) -> list[bytes]:
    frames: list[bytes] = []
    while (frame := outbox.take()) is not None:
        frames.append(frame)
    return frames


def test_what_a_peer_lacks_is_sent_again_before_what_is_new() -> None:
    outbox = filled(b"0", b"1", b"2")
    assert taken(outbox) == [b"0", b"1", b"2"]
    outbox.add(b"3")
    assert outbox.rewind(1)
    assert outbox.unsent == 3
    assert taken(outbox) == [b"1", b"2", b"3"]
    assert outbox.sent == 4


def test_what_was_confirmed_cannot_be_asked_for_again() -> None:
    outbox = filled(b"0", b"1")
    taken(outbox)
    outbox.confirm(1)
    assert not outbox.rewind(0)
    assert outbox.rewind(1)


def test_a_peer_cannot_have_taken_what_was_not_sent() -> None:
    outbox = filled(b"0", b"1")
    outbox.take()
    assert not outbox.rewind(2)
    outbox.confirm(2)
    assert outbox.rewind(1)


def test_the_oldest_frames_are_forgotten_above_the_limit() -> None:
    outbox = filled(b"aaa", b"bbb", b"ccc", replay_limit=6)
    taken(outbox)
    assert not outbox.rewind(0)
    assert outbox.rewind(1)
    assert taken(outbox) == [b"bbb", b"ccc"]


def test_without_replay_nothing_is_kept_not_even_empty_frames() -> None:
    outbox = filled(b"", b"a", replay_limit=0)
    assert taken(outbox) == [b"", b"a"]
    assert not outbox.rewind(1)
    assert outbox.rewind(2)


@given(
    frames=st.lists(st.binary(max_size=5), max_size=12),
    steps=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6),
)
def test_a_peer_gets_each_frame_once_and_in_order_however_often_it_is_lost(
    frames: list[bytes], steps: list[tuple[int, int]]
) -> None:
    outbox = filled(*frames)
    got: list[bytes] = []
    for sent, arriving in steps:
        on_the_way = [frame for _ in range(sent) if (frame := outbox.take()) is not None]
        got += on_the_way[:arriving]
        assert outbox.rewind(len(got))
    got += taken(outbox)
    assert got == frames
    assert outbox.unsent == 0
