"""Train the model that ships in the package on RAVDESS and EmoDB, and write it with its card to artifacts/.

Usage: python benchmarks/train_default_model.py [RAVDESS_FOLDER EMODB_FOLDER]

Without folders the corpora beside this repository are used. The file holds coefficients only; what was chosen (features,
classifier) was chosen on inner folds of training speakers. Run it at the lowest supported versions
(tests/constraints-lowest.txt): a model file opens in the scikit-learn that wrote it and in later ones, not in earlier ones.
"""

from __future__ import annotations

import hashlib
import sys
import warnings
from datetime import UTC, datetime

import numpy as np
from _publish import ARTIFACTS, CORPORA, versions
from sklearn.metrics import recall_score
from sklearn.utils import Bunch

from sersk import AcousticFeatures, emotion_pipeline, evaluate, load_corpus, predict_emotions, save_model
from sersk.models import fit_with_speakers

MODEL = "lda"
LICENCE = "CC BY-NC-SA 4.0"
# A corpus that the model has not seen at all: the nearest to what happens outside the laboratory.
FOREIGN = CORPORA / "tess"


def main():
    roots = sys.argv[1:] or [CORPORA / "ravdess", CORPORA / "emodb"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RAVDESS holds one pair of equal clips
        joint = load_corpus(roots)
    X = AcousticFeatures(n_jobs=2, verbose=1).transform(joint.data)
    pipeline = emotion_pipeline(MODEL, random_state=0)
    name = joint.frame["corpus"].to_numpy()
    corpora = {corpus: name == corpus for corpus in sorted(set(name))} | {"both": np.ones(len(name), dtype=bool)}
    reports = {}
    for corpus, rows in corpora.items():
        part = Bunch(data=X[rows], target=joint.target[rows], groups=joint.groups[rows])
        reports[corpus] = evaluate(pipeline[1:], part, n_jobs=2)
    fit_with_speakers(pipeline[1:], X, joint.target, joint.groups)
    card = {
        "corpora": sorted(set(name)),
        "n_clips": len(X),
        "n_speakers": len(set(joint.groups)),
        "licence": LICENCE,
        "model": MODEL,
        "metrics": {corpus: report.to_dict() for corpus, report in reports.items()},
    }
    foreign = foreign_corpus(pipeline)
    card["metrics"]["tess, not trained on"] = foreign
    path = save_model(pipeline, ARTIFACTS / "default.sersk", card=card)
    (ARTIFACTS / "default.md").write_text(describe(path, reports, card, foreign), encoding="utf-8")
    print((ARTIFACTS / "default.md").read_text(encoding="utf-8"))


def foreign_corpus(pipeline):
    """Measure what is left of it on speakers, sentences and a studio that it knows nothing of."""
    corpus = load_corpus(FOREIGN)
    predicted = predict_emotions(pipeline, corpus.data, min_speech=0, n_jobs=2)["emotion"].astype(str)
    uar = recall_score(corpus.target, predicted, labels=np.unique(corpus.target), average="macro")
    return {"uar": round(float(uar), 4), "n_clips": len(predicted), "n_emotions": len(set(corpus.target))}


def describe(path, reports, card, foreign):
    """Write the card for people."""
    labels = list(reports["both"].labels)
    head = "| corpus | protocol | clips | UAR | WA | " + " | ".join(labels) + " |"
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for corpus, report in reports.items():
        recalls = [f"{report.recalls[label]:.2f}" if label in report.recalls else "" for label in labels]
        cells = [corpus, report.description, len(report.predictions), f"{report.uar:.3f}", f"{report.wa:.3f}", *recalls]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    size = path.stat().st_size / 1e6
    return f"""# The default model

`default.sersk` ({size:.1f} MB) is what `sersk predict` uses when no model is named. It is the `{MODEL}` pipeline of
`sersk.emotion_pipeline` (default features, scaling, linear discriminant analysis with shrinkage, one temperature) trained
on {card["n_clips"]} clips of {card["n_speakers"]} actors: RAVDESS speech (Livingstone & Russo 2018, doi 10.1371/journal.pone.0196391) and
EmoDB (Burkhardt et al. 2005; anger, happiness, neutral and sadness only). It holds coefficients, no clips and no rows of
training data. `sersk.persistence.read_card` reads its card from the file itself.

## What it gets right, on speakers that it was not trained on

Recall of each emotion in the right half. Each row is the same pipeline cross-validated on that corpus; all that is learned,
scaling included, is fitted on training speakers.

{chr(10).join(lines)}

On TESS, a corpus that it was not trained on ({foreign["n_clips"]} clips of two other actresses, single words after a carrier
phrase, {foreign["n_emotions"]} emotions), its UAR is {foreign["uar"]:.2f}; chance is {1 / foreign["n_emotions"]:.2f}. That is how far a corpus reaches beyond itself.

## What it is not for

Acted speech of professional speakers, two languages (North American English, German), studio sound, two sentences in
RAVDESS and ten in EmoDB: expect less on spontaneous, noisy or far speech, on other languages, on children. calm, fearful,
disgust and surprised were learned from RAVDESS alone, so that these labels also mean "sounds like RAVDESS". Probabilities
are calibrated for new speakers of the same corpora. Do not decide about people by it: an emotion heard is not an
emotion felt, and in the European Union emotion recognition at work and in education is prohibited (Regulation 2024/1689,
article 5).

## Licence

{LICENCE}, as RAVDESS, from which it is derived: not for commercial use. The code of sersk is BSD-3-Clause; train a
model of your own with `sersk fit` for other uses.

## Made by

`python benchmarks/train_default_model.py` at the lowest supported versions on {datetime.now(UTC).date()}, {versions()}.
SHA-256 of the file: `{hashlib.sha256(path.read_bytes()).hexdigest()}`.
"""


if __name__ == "__main__":
    main()
