"""Labelled clips: published corpora, folders, manifests and a synthetic one -> clips, emotions, speakers."""

from .audit import CorpusAudit, audit_corpus
from .emotions import EMOTIONS, canonical_emotion
from .findings import Finding
from .layouts import LAYOUTS, Layout
from .loading import load_corpus
from .splitting import split_corpus
from .synthetic import make_emotional_speech
from .voice import Speaker, draw_speaker, synthesize_utterance

__all__ = [
    "EMOTIONS",
    "LAYOUTS",
    "CorpusAudit",
    "Finding",
    "Layout",
    "Speaker",
    "audit_corpus",
    "canonical_emotion",
    "draw_speaker",
    "load_corpus",
    "make_emotional_speech",
    "split_corpus",
    "synthesize_utterance",
]
