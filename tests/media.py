"""Phone and browser formats, written by PyAV."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

HAS_PYAV = importlib.util.find_spec("av") is not None
needs_pyav = pytest.mark.skipif(not HAS_PYAV, reason="needs an extra: pip install 'sersk[formats]'")


def encode(samples, rate, container, codec, bit_rate=None, video=False, **options):
    """Encode samples of shape (n_samples,) or (n_samples, n_channels) as a file's bytes."""
    import av

    samples = np.asarray(samples, dtype=np.float32).reshape(len(samples), -1)
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"  # some writers go back, and open the file anew for that
        with av.open(str(path), "w", format=container, options=options) as file:
            if video:
                picture = file.add_stream("mpeg4", rate=10)
                picture.width = picture.height = 64
                picture.pix_fmt = "yuv420p"
            if codec:
                stream = file.add_stream(codec, rate=rate)
                stream.layout = layout
                if bit_rate:
                    stream.bit_rate = bit_rate
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
                frame.sample_rate = rate
                frame.pts = 0
                for packet in [*stream.encode(frame), *stream.encode(None)]:
                    file.mux(packet)
            if video:
                for number in range(3):
                    image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                    image.pts = number
                    file.mux(picture.encode(image))
                file.mux(picture.encode(None))
        return path.read_bytes()
