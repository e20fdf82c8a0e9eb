import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sketch2video.trainer_data.frame_choice import CUTS, Length, TooShort, choose_frames


def times(count, fps=25.0, first=0.0):
    return first + np.arange(count) / fps


@pytest.mark.parametrize(
    ("cut", "begins"), [("start", [0]), ("middle", [42]), ("pieces", [0, 17, 34, 51, 68]), ("whole", [0])]
)
def test_each_cut_begins_where_it_says(cut, begins):
    choices = choose_frames(times(101), Length(17, 25.0, 4), cut)
    assert [choice[0] for choice in choices] == begins
    for choice in choices:
        assert len(choice) == 17
        assert choice[-1] <= 100
    if cut == "whole":
        assert choices[0][-1] == 100


def test_pieces_do_not_overlap_and_fill_the_video():
    assert [list(c[[0, -1]]) for c in choose_frames(times(17 * 3), Length(17, 25.0), "pieces")] == [
        [0, 16],
        [17, 33],
        [34, 50],
    ]
    assert len(choose_frames(times(17 * 3 - 1), Length(17, 25.0), "pieces")) == 2


def test_a_rate_of_half_takes_every_second_frame_and_twice_the_rate_each_twice():
    assert choose_frames(times(40), Length(9, 12.5), "start")[0].tolist() == list(range(0, 18, 2))
    assert np.diff(choose_frames(times(40), Length(9, 50.0), "start")[0]).tolist() in ([0, 1] * 4, [1, 0] * 4)


def test_frames_of_a_variable_rate_are_those_nearest_in_time():
    seconds = np.array([0.0, 0.1, 0.11, 0.12, 0.5, 0.9, 1.0])
    assert choose_frames(seconds, Length(5, 4.0), "start")[0].tolist() == [0, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (16, "is too short: 0.64 s, and 17 frames at 25 fps need 0.68 s; 13 would fit"),
        (1, "is too short: 0.00 s, and 17 frames at 25 fps need 0.68 s"),
    ],
)
def test_a_short_video_has_a_reason_with_what_would_fit(count, reason):
    with pytest.raises(TooShort) as caught:
        choose_frames(times(count), Length(17, 25.0, 4), "middle")
    assert str(caught.value) == reason
    with pytest.raises(TooShort, match="7 frames, at least 8"):
        choose_frames(times(7), Length(17, 25.0, 4), "whole")


@given(
    count=st.integers(1, 200),
    fps=st.floats(1, 120),
    source=st.floats(1, 120),
    step=st.sampled_from([4, 8]),
    n=st.integers(1, 20),
    cut=st.sampled_from(sorted(CUTS)),
    first=st.floats(0, 1000),
)
def test_clips_have_their_frames_or_a_reason_and_what_would_fit_does(count, fps, source, step, n, cut, first):
    seconds = times(count, source, first)
    try:
        choices = choose_frames(seconds, Length(step * n + 1, fps, step), cut)
    except TooShort as error:
        found = str(error).partition("; ")[2]
        if found:
            fitting = int(found.split()[0])
            assert fitting < step * n + 1
            assert fitting % step == 1
            choose_frames(seconds, Length(fitting, fps, step), cut)
        return
    assert choices
    for choice in choices:
        assert len(choice) == step * n + 1
        assert (np.diff(choice) >= 0).all()
        assert choice[0] >= 0
        assert choice[-1] < count
