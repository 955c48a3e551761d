"""Time sersk from a cold process, in turn with bare Python and with the imports that a prediction cannot do without.

Usage: python benchmarks/bench_startup.py [ROUNDS]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
from _publish import publish

from sersk.corpora import draw_speaker, synthesize_utterance

NEEDED = "import sklearn.svm, soundfile, scipy.fft"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    # Modules are compiled once, where they are installed, and not at every start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        clip = str(Path(folder) / "one.wav")
        random = np.random.RandomState(0)
        voice = draw_speaker("F1", "female", random)
        sf.write(clip, synthesize_utterance("angry", voice, random, duration=3.0)[0], 16000)
        commands = {
            "python -c pass": ["-c", "pass"],
            "python -c 'import sersk'": ["-c", "import sersk"],
            "sersk --help": ["-m", "sersk", "--help"],
            f"python -c '{NEEDED}'": ["-c", NEEDED],
            "sersk predict one.wav": ["-m", "sersk", "predict", clip],
        }
        seconds = {name: [] for name in commands}
        for round_ in range(rounds + 1):
            for name, arguments in commands.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
                if round_:
                    seconds[name].append(time.perf_counter() - start)
    medians = {name: np.median(values) for name, values in seconds.items()}
    bare, needed = medians["python -c pass"], medians[f"python -c '{NEEDED}'"]
    rows = [
        {
            "command": name,
            "median s": f"{median:.3f}",
            "over bare Python s": f"{median - bare:.3f}",
            "times the imports": f"{median / needed:.2f}",
        }
        for name, median in medians.items()
    ]
    publish(
        "startup",
        "Start-up",
        rows,
        f"{rounds} cold processes each, in turn, after one of each that does not count; modules are compiled. The imports of\n"
        "the last column are scikit-learn, what reads audio, and the FFT. The clip holds 3 s of synthetic speech, and is\n"
        "predicted by the model that comes with sersk.",
    )


if __name__ == "__main__":
    main()
