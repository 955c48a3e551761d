"""The page in a real browser, over the real service: what is seen, named and kept."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from clusters import wait_until

pytest.importorskip("gradio", reason="needs an extra: pip install 'sersk[serve]'", exc_type=ImportError)
pytest.importorskip("playwright.sync_api", reason="needs an extra: pip install 'sersk[test]'")

from playwright import sync_api

from sersk import emotion_pipeline, make_emotional_speech, predict_emotions, save_model
from sersk.serve.views import sign_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium, or the like")

# As root, in a container, without a screen and without any other host.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SECONDS = 180_000  # ms; a busy machine is slow
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, n_speakers=3, n_repetitions=2, duration=1.0)


@pytest.fixture(scope="module")
def models(corpus, tmp_path_factory):
    """Two model files: of all emotions, and of two, which the page must not mix up."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for name, chosen in (("six", np.unique(corpus.target)), ("two", ["happy", "sad"])):
        rows = np.isin(corpus.target, chosen)
        clips = [clip for clip, is_in in zip(corpus.data, rows, strict=True) if is_in]
        model = emotion_pipeline("lda", features="means-180").fit(clips, np.asarray(corpus.target)[rows])
        report = {"uar": 0.625, "description": "leave one speaker out", "recalls": dict.fromkeys(chosen, 0.625)}
        found[name] = save_model(model, folder / f"{name}.sersk", card={"metrics": report, "corpora": ["synthetic"]})
    return found


@pytest.fixture(scope="module")
def clips(corpus, models):
    """Clip of each emotion that a model gives, by the emotion."""
    table = predict_emotions(models["six"], corpus.data)
    found = dict(zip(table["emotion"], table["file"], strict=True))
    assert sorted(found) == sorted(np.unique(corpus.target))
    return found


@contextlib.contextmanager
def served(*arguments, before="", **environment):
    """Address of a service of its own, which may run some code before; it ends in good order."""
    start = f"{before}\nfrom sersk.cli import app\napp()"
    command = [sys.executable, "-c", start, "serve", "--port", "0", "--workers", "1", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        try:
            lines = []
            while not (found := re.search(r"listens at (http://\S+:\d+)", lines[-1] if lines else "")):
                lines.append(process.stderr.readline())
                assert lines[-1], "".join(lines)
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.stderr.read()
            assert process.wait(300) == 0
            assert said == "", "nothing of what happened is told"


@pytest.fixture(scope="module")
def url(models):
    with served(*(f"--model={file}" for file in models.values())) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=[*ARGUMENTS, *MICROPHONE])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def desktop(browser):
    """A window size and a cache that most tests share."""
    context = browser.new_context(**DESKTOP)
    yield context
    context.close()


@contextlib.contextmanager
def opened(context, url):
    """The page, which asks no other host for anything and raises no error."""
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    strangers, errors = [], []
    page.on("request", lambda one: None if one.url.startswith((url, "data:", "blob:")) else strangers.append(one.url))
    # Players of Gradio before 6.31 raise for what they cannot play.
    page.on("pageerror", lambda error: "Failed to fetch" in str(error) or errors.append(str(error)))
    page.goto(url)
    page.wait_for_selector("#audio input[type=file]", state="attached")
    yield page
    page.close()
    assert (strangers, errors) == ([], [])


def give(page, file):
    """Upload a clip and wait for its answer."""
    page.locator("#audio input[type=file]").set_input_files(file)
    page.wait_for_selector("#answer .emotion, #answer .problem")


def answer(page):
    name, chance = page.inner_text("#answer .emotion"), page.inner_text("#answer .chance")
    return name, float(chance.removesuffix(" %")) / 100


def pictures(page):
    """What the pictures are of, when all are there."""
    page.wait_for_selector("#pictures img[alt*=f0]")
    for image in page.locator("#pictures img").all():
        assert image.evaluate("one => one.complete && one.naturalWidth") > 500
    return [image.get_attribute("alt") for image in page.locator("#pictures img").all()]


def test_the_page_the_api_and_the_command_name_the_same_emotions(desktop, url, models, clips):
    command = [sys.executable, "-m", "sersk", "predict", "--json", "--proba", "--model", models["six"], *clips.values()]
    said = map(json.loads, subprocess.run(command, capture_output=True, check=True).stdout.splitlines())
    told = {one["file"]: one for one in said}
    for emotion, clip in clips.items():
        request = urllib.request.Request(f"{url}/v1/predict", Path(clip).read_bytes(), method="POST")
        with urllib.request.urlopen(request) as response:
            by_api = json.load(response)
        assert by_api["emotion"] == told[clip]["emotion"] == emotion
        assert by_api["probabilities"] == pytest.approx(told[clip]["probabilities"], abs=1e-5)
    with opened(desktop, url) as page:
        for emotion, clip in clips.items():
            give(page, clip)
            assert answer(page) == (emotion, pytest.approx(told[clip]["probability"], abs=0.006))
            assert page.inner_text("#answer .answer .sign") == sign_of(emotion)
            page.get_by_label("Clear").click()
            page.wait_for_selector("#answer .notice")


def test_a_clip_has_charts_and_pictures(desktop, url, clips):
    with opened(desktop, url) as page:
        give(page, clips["sad"])
        assert sorted(page.locator("#answer .bars .name").all_inner_texts()) == sorted(
            f"{sign_of(emotion)} {emotion}" for emotion in clips
        )
        assert page.locator("#answer svg.radar text").count() == len(clips)
        assert pictures(page) == ["Pictures: waveform, spectrogram, mfcc, f0"]
        assert page.locator("#audio audio, #audio .waveform-container, #audio #waveform").count()


def test_views_and_models_change_the_answer(desktop, url, clips):
    with opened(desktop, url) as page:
        give(page, clips["angry"])
        page.get_by_label("Positive, neutral, negative").check()
        page.wait_for_selector("#answer .emotion:has-text('negative')")
        assert len(page.locator("#answer .bars tr").all()) == 3
        page.get_by_label("All").check()
        page.wait_for_selector("#answer .emotion:has-text('angry')")
        page.get_by_label("Model").click()
        page.get_by_role("option", name="two").click()
        page.wait_for_selector("#answer small:has-text('model two')")
        assert {text.split()[1] for text in page.locator("#answer .bars .name").all_inner_texts()} == {"happy", "sad"}


def test_a_long_recording_has_its_timeline_below_the_waveform(desktop, url, clips, tmp_path):
    pause = np.zeros(16000 * 4)
    parts = [part for emotion in ("angry", "sad", "happy") for part in (*[sf.read(clips[emotion])[0]] * 3, pause)]
    sf.write(tmp_path / "long.wav", np.concatenate(parts), 16000)
    with opened(desktop, url) as page:
        give(page, tmp_path / "long.wav")
        shown = pictures(page)
        assert shown == [
            "Waveform",
            "Timeline: how probable each emotion is",
            "Pictures: spectrogram, mfcc, f0",
        ]
        rows = page.locator("#timeline tbody tr").all_inner_texts()
        assert len(rows) >= 3
        starts = [float(row.split()[0]) for row in rows]
        assert starts == sorted(starts)


def test_examples_are_heard_at_a_click(desktop, url):
    with opened(desktop, url) as page:
        page.get_by_text("happy, male voice").click()
        page.wait_for_selector("#answer .emotion")


def test_a_microphone_is_heard(models, clips, url, tmp_path):
    waveform, sr = sf.read(clips["surprised"])
    sf.write(tmp_path / "voice.wav", np.tile(waveform, 4), sr, subtype="PCM_16")
    code = f"""if True:
        from playwright.sync_api import sync_playwright
        with sync_playwright() as playwright:
            arguments = {[*ARGUMENTS, *MICROPHONE, f"--use-file-for-fake-audio-capture={tmp_path / 'voice.wav'}"]!r}
            browser = playwright.chromium.launch(executable_path={BROWSER!r}, args=arguments)
            page = browser.new_context(permissions=["microphone"]).new_page()
            page.set_default_timeout({SECONDS})
            page.goto({url!r})
            page.get_by_label("Record audio").click()
            page.locator("#audio .record-button").click()
            page.wait_for_timeout(5000)  # of which a busy machine may lose some
            page.locator("#audio .stop-button").click()
            page.wait_for_selector("#answer .emotion")
            print(page.inner_text("#answer .answer"))
            browser.close()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(emotion in done.stdout for emotion in clips)
    assert float(re.search(r"([\d.]+) s of audio", done.stdout)[1]) > 1


def test_many_files_become_one_table(desktop, url, clips, models, tmp_path):
    bad = tmp_path / "=bad<b>.wav"
    bad.write_bytes(b"no audio " * 50)
    silent = tmp_path / "silent.wav"
    sf.write(silent, np.zeros(16000), 16000)
    with opened(desktop, url) as page:
        page.get_by_role("tab", name="Several").click()
        page.locator("#start").click()
        page.wait_for_selector("#batch .notice:has-text('no files')")
        page.locator("#files input[type=file]").set_input_files([*clips.values(), silent, bad])
        page.wait_for_selector("#files .file-preview tr >> nth=7")
        page.locator("#start").click()
        link = page.wait_for_selector("#batch a.download")
        content = base64.b64decode(link.get_attribute("href").partition("base64,")[2]).decode()
        shown = page.locator("#batch tbody tr").all_inner_texts()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [row["emotion"] for row in rows] == [*clips, "", ""]
    assert [row["reason"] for row in rows] == [*[""] * len(clips), "no speech", ""]
    table = predict_emotions(models["six"], list(clips.values()))
    for row, (_, expected) in zip(rows[:-2], table.iterrows(), strict=True):
        assert row["file"] == Path(expected["file"]).name
        assert [float(row[emotion]) for emotion in sorted(clips)] == pytest.approx(
            [expected[emotion] for emotion in sorted(clips)], abs=1e-4
        )
    assert "not audio" in rows[-1]["error"]
    assert len(shown) == len(rows)
    assert "no speech" in shown[-2]
    assert "not audio" in shown[-1]


def test_the_player_takes_files_that_browsers_do_not_call_audio(desktop, url, clips, tmp_path):
    for kind in ("webm", "mp4", "caf"):
        file = tmp_path / f"clip.{kind}"
        file.write_bytes(Path(clips["sad"]).read_bytes())
        with opened(desktop, url) as page:
            with page.expect_file_chooser() as chosen:
                page.locator("#audio button").first.click()
            assert f".{kind}" in chosen.value.element.get_attribute("accept").split(",")
            chosen.value.set_files(file)
            page.wait_for_selector("#answer .emotion, .toast-body")
            assert answer(page)[0] == "sad"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"no audio at all " * 64, "not audio"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "truncated or damaged"),
    ],
    ids=["empty", "text", "cut"],
)
def test_what_is_no_audio_is_told_in_words(desktop, url, content, said, tmp_path):
    (tmp_path / "clip.wav").write_bytes(content)
    with opened(desktop, url) as page:
        page.locator("#audio input[type=file]").set_input_files(tmp_path / "clip.wav")
        page.wait_for_selector(f"#answer .problem:has-text('{said}')")
        assert page.locator("#pictures img").count() == 0


def test_what_is_too_large_is_told_in_words(desktop, url, tmp_path):
    (tmp_path / "large.wav").write_bytes(bytes(26 * 2**20))
    with opened(desktop, url) as page:
        page.locator("#audio input[type=file]").set_input_files(tmp_path / "large.wav")
        page.wait_for_selector("text=maximum allowed size of 25.0 Mb")


@pytest.mark.parametrize(
    ("seconds", "said"), [(2.0, "no speech"), (8.0, "no speech"), (0.3, "very short")], ids=["silence", "long", "short"]
)
def test_why_not_to_trust_an_answer_is_told(desktop, url, clips, seconds, said, tmp_path):
    voice, sr = sf.read(clips["angry"])
    n_samples = int(seconds * sr)
    sf.write(
        tmp_path / "clip.wav", voice[len(voice) // 3 :][:n_samples] if said == "very short" else np.zeros(n_samples), sr
    )
    with opened(desktop, url) as page:
        give(page, tmp_path / "clip.wav")
        page.wait_for_selector(f"#answer .notice:has-text('{said}')")
        assert (page.inner_text("#answer .emotion") == "no speech") == (said == "no speech")
        assert (page.locator("#answer table").count() == 0) == (said == "no speech")
        pictures(page)


def test_the_models_cards_are_on_the_page(desktop, url):
    with opened(desktop, url) as page:
        page.get_by_role("tab", name="Models").click()
        page.wait_for_selector(".model >> nth=1")
        texts = page.locator(".model").all_inner_texts()
    assert len(texts) == 2
    assert "0.62" in texts[0]
    assert "0.17" in texts[0], "what guessing gives, of six emotions"
    assert "0.50" in texts[1]
    assert "leave one speaker out" in texts[0]


def test_a_phone_shows_it_all_without_scrolling_sideways(browser, url, clips):
    with contextlib.closing(browser.new_context(**PHONE)) as phone, opened(phone, url) as page:
        give(page, clips["happy"])
        pictures(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for name in ("Several", "Models"):
            page.get_by_role("tab", name=name).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
        right = "[...document.querySelectorAll('.model, #start')].map(one => one.getBoundingClientRect().right)"
        assert max(page.evaluate(right)) <= 390


def test_the_keyboard_reaches_everything(desktop, url):
    reached = []
    with opened(desktop, url) as page:
        for _ in range(20):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    "(document.activeElement.ariaLabel || document.activeElement.value || '') + "
                    "' ' + document.activeElement.innerText"
                )
            )
    text = "\n".join(reached)
    for name in ("Model", "all", "One clip", "Upload file", "Record audio", "sad, male voice"):
        assert name in text, f"{name} is not among {reached}"


def contrast(page, selector):
    """Contrast ratio of text to what is behind it, by WCAG 2."""
    colours = page.locator(selector).first.evaluate(
        """one => {
            const behind = [];
            for (let at = one; at; at = at.parentElement) behind.push(getComputedStyle(at).backgroundColor);
            const seen = behind.find(colour => !colour.endsWith(', 0)') && colour != 'transparent');
            return [getComputedStyle(one).color, seen || 'rgb(255, 255, 255)'];
        }"""
    )
    shades = []
    for colour in colours:
        rgb = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        shades.append(linear @ [0.2126, 0.7152, 0.0722] + 0.05)
    return max(shades) / min(shades)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(browser, url, clips, scheme):
    with contextlib.closing(browser.new_context(color_scheme=scheme, **DESKTOP)) as desk, opened(desk, url) as page:
        give(page, clips["happy"])
        for selector in ("h1", "#answer .emotion", "#answer small", "#answer .bars .n", "#examples button", "#model"):
            assert contrast(page, selector) >= 4.5, selector
        page.get_by_role("tab", name="Several").click()
        assert contrast(page, "#start") >= 4.5


def test_a_token_guards_the_page(browser, models, clips):
    with served(f"--model={models['two']}", SERSK_TOKEN="secret") as address:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address)
        credentials = {"username": "me", "password": "secret"}
        with (
            contextlib.closing(browser.new_context(http_credentials=credentials, **DESKTOP)) as known,
            opened(known, address) as page,
        ):
            give(page, clips["sad"])
            pictures(page)


def files_of_pages():
    folders = [Path(folder) for folder in (tempfile.gettempdir(), "/dev/shm") if Path(folder).is_dir()]
    roots = [root for folder in folders for root in folder.glob("sersk-page-*")]
    # Not by a pattern: that fails where a folder goes while it is listed.
    found = {Path(place, name) for root in roots for place, _, names in os.walk(root) for name in names}
    return {file for file in found if has_content(file)}


def has_content(file):
    """Gradio leaves an empty file behind for each of a batch; it holds nothing of it."""
    with contextlib.suppress(FileNotFoundError):
        return file.stat().st_size > 0
    return False


def test_nothing_of_an_upload_stays_and_examples_do(desktop, models, clips, tmp_path):
    others = files_of_pages()
    old = tmp_path / "all-is-old"  # however long this takes, nothing is before it is said to be
    briefly = f"""if True:
        from pathlib import Path
        from sersk.serve import page
        remove, page._LOOK = page.remove_old, 0.1
        page.remove_old = lambda folder, _: remove(folder, -3600 if Path({str(old)!r}).exists() else 3600)
    """
    with served(f"--model={models['two']}", before=briefly) as address, opened(desktop, address) as page:
        page.get_by_role("tab", name="Several").click()
        page.locator("#files input[type=file]").set_input_files([clips["sad"]])
        page.wait_for_selector("#files .file-preview tr")
        (upload,) = files_of_pages() - others
        assert upload.parents[1].stat().st_mode & 0o077 == 0, "others cannot look into it"
        page.locator("#start").click()
        page.wait_for_selector("#batch a.download")
        assert not upload.exists(), "a batch is gone when it is done"
        page.get_by_role("tab", name="One clip").click()
        give(page, clips["sad"])
        pictures(page)
        old.touch()
        wait_until(lambda: not files_of_pages() - others)
        old.unlink()
        page.get_by_label("Clear").click()
        page.wait_for_selector("#answer .notice:has-text('will stand here')")
        page.wait_for_timeout(1000)  # what is below moves once more
        page.get_by_text("happy, male voice").click()
        page.wait_for_selector("#answer .emotion")
        folder = upload.parents[1]
        assert folder.is_dir()
    assert not folder.exists()


def test_an_end_with_open_pages_is_a_good_one(browser, models):
    context = browser.new_context(**DESKTOP)
    page = context.new_page()
    with served(f"--model={models['two']}") as address:
        with page.expect_response(re.compile("/heartbeat/"), timeout=SECONDS):  # which never ends by itself
            page.goto(address)
        page.wait_for_selector("#audio input[type=file]", state="attached")
    context.close()
