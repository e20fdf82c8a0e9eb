from fractions import Fraction

import av
import numpy as np
import pytest

from sketch2video.media.codec import read_frames
from sketch2video.media.containers import RejectedVideo
from sketch2video.media.seeking import FrameReader, index_frames
from tests.media.small_videos import encode, encode_changing, encode_sound, noisy, numbered

COUNT = 40
OPEN = {"x264-params": "open-gop=1:bframes=3:keyint=10:min-keyint=10:scenecut=0"}
IRREGULAR = np.cumsum(np.random.default_rng(1).integers(5, 300, COUNT)).tolist()

KINDS = {
    "a group of 1": ("a.mp4", "libx264", 1, {}, None),
    "groups of 10": ("a.mp4", "libx264", 10, {"bf": "3"}, None),
    "groups of 25 in mkv": ("a.mkv", "libx264", 25, {"bf": "3"}, None),
    "open groups": ("a.mp4", "libx264", 10, OPEN, None),
    "open groups in ts": ("a.ts", "libx264", 10, OPEN, None),
    "irregular times": ("a.mp4", "libx264", 10, {"bf": "3"}, IRREGULAR),
    "irregular times in mkv": ("a.mkv", "libx264", 10, {"bf": "3"}, IRREGULAR),
    "MPEG-4 in avi": ("a.avi", "mpeg4", 10, {}, None),
    "MPEG-4 with B-frames in avi": ("a.avi", "mpeg4", 10, {"bf": "2"}, None),
    "MPEG-2": ("a.mpg", "mpeg2video", 10, {"bf": "2"}, None),
    "VP9": ("a.webm", "libvpx-vp9", 10, {"cpu-used": "8", "deadline": "realtime"}, None),
    "VP8": ("a.webm", "libvpx", 10, {}, None),
}
"""File, codec, frames from a key frame to the next, options, times in milliseconds."""

SLOW_KINDS = {
    "one group": ("a.mp4", "libx264", 250, {"bf": "3"}, None),
    "refreshed piece by piece": ("a.mp4", "libx264", 10, {"x264-params": "intra-refresh=1"}, None),
    "H.264 with B-frames in avi": ("a.avi", "libx264", 10, {"bf": "3"}, None),
    "GIF": ("a.gif", "gif", 10, {}, None),
}
"""Files that have to be read from their start."""


def write(path, codec, group, options, times, count=COUNT):
    """Write a drifting texture, every frame of which differs from all others."""
    texture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.gop_size = 48, 32, group
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            picture = np.roll(texture, number, 1)
            picture[:8] = 4 * number
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def decoded(path):
    """All frames, and when they are shown."""
    with av.open(str(path)) as container:
        seconds = [frame.time for frame in container.decode(video=0)]
    return np.stack(list(read_frames(path))), seconds


@pytest.mark.parametrize("kind", [*KINDS, *SLOW_KINDS])
def test_every_frame_is_that_of_a_full_decode(tmp_path, kind):
    name, *rest = (KINDS | SLOW_KINDS)[kind]
    write(tmp_path / name, *rest)
    expected, seconds = decoded(tmp_path / name)
    assert len({frame.tobytes() for frame in expected}) == COUNT
    rng = np.random.default_rng(0)
    with FrameReader(tmp_path / name) as reader:
        assert len(reader) == COUNT
        for number in rng.permutation(COUNT).tolist():
            np.testing.assert_array_equal(reader.frames([number])[0], expected[number], err_msg=f"frame {number}")
        for wanted in (2, 5, COUNT):
            numbers = rng.choice(COUNT, wanted, replace=False)
            np.testing.assert_array_equal(reader.frames(numbers), expected[numbers])
        if kind != "H.264 with B-frames in avi":  # whose own times are not in order
            np.testing.assert_allclose(reader.index.seconds, seconds)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_costs_no_more_than_its_group(tmp_path, kind):
    name, codec, group, *rest = KINDS[kind]
    write(tmp_path / name, codec, group, *rest)
    index = index_frames(tmp_path / name)
    for number in (3, 17, 24, 31, 38):
        with FrameReader(tmp_path / name, index) as reader:
            reader.frames([number])
            # Of an open group, the frames before its key frame come out, too; of MPEG-2 in mpg, a group may be passed.
            assert reader.decoded <= (2 * group if codec == "mpeg2video" else group) + 3


def test_frames_side_by_side_are_decoded_once(tmp_path):
    write(tmp_path / "a.mp4", "libx264", 15, {"bf": "3"}, None)
    with FrameReader(tmp_path / "a.mp4") as reader:
        reader.frames([16, 29, 22, 16])
        assert reader.decoded == 15
        reader.frames([30])
        assert reader.decoded == 16


def test_numbers_keep_their_order_and_may_repeat(tmp_path):
    write(tmp_path / "a.mp4", "libx264", 10, {}, None)
    expected, _ = decoded(tmp_path / "a.mp4")
    with FrameReader(tmp_path / "a.mp4") as reader:
        np.testing.assert_array_equal(reader.frames([33, 3, 33]), expected[[33, 3, 33]])
        for wrong in (-1, COUNT):
            with pytest.raises(ValueError, match=f"frames 0 to {COUNT - 1}, not {wrong}"):
                reader.frames([3, wrong])


def remux(source, target, shift=0, leave_out=lambda number: False):
    """Copy the packets of a file, some left out, all moved in time."""
    with av.open(str(source)) as read, av.open(str(target), "w", options={"avoid_negative_ts": "disabled"}) as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        for number, packet in enumerate(packet for packet in read.demux(video=0) if packet.size):
            if not leave_out(number):
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                written.mux(packet)


def test_frames_cut_off_by_an_edit_list_are_not_counted(tmp_path):
    write(tmp_path / "whole.mp4", "libx264", 10, {"bf": "3"}, None)
    remux(tmp_path / "whole.mp4", tmp_path / "cut.mp4", shift=14 * 512)
    expected, _ = decoded(tmp_path / "cut.mp4")
    np.testing.assert_array_equal(expected, decoded(tmp_path / "whole.mp4")[0][14:])
    with FrameReader(tmp_path / "cut.mp4") as reader:
        assert len(reader) == COUNT - 14
        for number in (0, 25, 7, 3, 20):
            np.testing.assert_array_equal(reader.frames([number])[0], expected[number])


def test_a_stream_that_begins_with_frames_nobody_can_decode_is_counted(tmp_path):
    write(tmp_path / "whole.mp4", "libx264", 10, OPEN, None)
    with av.open(str(tmp_path / "whole.mp4")) as container:
        keys = [n for n, packet in enumerate(container.demux(video=0)) if packet.size and packet.is_keyframe]
    remux(tmp_path / "whole.mp4", tmp_path / "cut.mkv", leave_out=lambda number: number < keys[2])
    expected, _ = decoded(tmp_path / "cut.mkv")
    assert len(expected) <= COUNT - keys[2]
    with FrameReader(tmp_path / "cut.mkv") as reader:
        assert len(reader) == len(expected)
        for number in (len(expected) - 1, 0, 12):
            np.testing.assert_array_equal(reader.frames([number])[0], expected[number])


def test_frames_are_turned_and_stretched_as_they_are_shown(tmp_path):
    for name, options in (("turned", {"rotation": 90}), ("stretched", {"pixel_aspect": 2})):
        path = tmp_path / f"{name}.mp4"
        encode(path, noisy(12), **options)
        expected = np.stack(list(read_frames(path)))
        with FrameReader(path) as reader:
            np.testing.assert_array_equal(reader.frames([8, 2]), expected[[8, 2]])


def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path):
    encode(tmp_path / "whole.mp4", noisy(40), options={"movflags": "+faststart"})
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 3 // 4])
    (tmp_path / "empty.mp4").touch()
    encode_sound(tmp_path / "sound.mp4")
    reasons = {
        "cut.mp4": "damaged or truncated",
        "empty.mp4": "is empty",
        "absent.mp4": "is missing",
        "sound.mp4": "has no video stream",
    }
    for name, reason in reasons.items():
        with pytest.raises(RejectedVideo, match=f"{name} .*{reason}"):
            FrameReader(tmp_path / name)


def test_damage_is_found_where_it_is_decoded(tmp_path):
    write(tmp_path / "a.mkv", "libx264", 1, {}, None)
    with av.open(str(tmp_path / "a.mkv")) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data.replace(packets[20], bytes(len(packets[20]))))
    with FrameReader(tmp_path / "a.mkv") as reader:
        assert reader.frames([12, 33]).shape == (2, 32, 48, 3)
        with pytest.raises(RejectedVideo, match=r"a\.mkv is damaged"):
            reader.frames([20])


def test_frames_of_different_sizes_are_refused(tmp_path):
    path = tmp_path / "video.mkv"
    encode_changing(path, 5, (48, 64), (96, 128))
    with FrameReader(path) as reader:
        assert reader.frames([7, 8]).shape == (2, 96, 128, 3)
        with pytest.raises(RejectedVideo, match="changes the size of its frames"):
            reader.frames([2, 8])


def test_a_file_without_packets_has_no_frames(tmp_path):
    path = tmp_path / "video.mkv"
    encode(path, numbered(5))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75")])  # up to the first cluster
    with pytest.raises(RejectedVideo):
        FrameReader(path)
