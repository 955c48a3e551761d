"""File name of a published corpus -> emotion, speaker and facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from .emotions import CODES, EMOTIONS, canonical_emotion

# Columns of the table of clips, in their order; every one holds text. Other columns of a manifest follow them.
CLIP_COLUMNS = ("file", "emotion", "speaker", "gender", "corpus")
FACT_COLUMNS = ("modality", "channel", "intensity", "statement", "repetition", "version")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Describe how one published corpus names its files.

    Parameters
    ----------
    name : str
        What ``layout=`` calls it, and the prefix of its speakers' ids.
    title : str
        Its full name.
    reference : str
        What to cite.
    licence : str
        On which terms its publisher gives it out.
    pattern : str
        Regular expression for ``folder/stem`` or ``stem``, whatever the case. Its groups ``emotion`` and ``speaker``
        are read by `parse`; every other group is a fact, and its name a column.
    genders : mapping of str to str
        Speaker -> ``"female"`` or ``"male"``, as published.
    codes : mapping of str to str
        Code in the group ``emotion``, in lower case -> canonical emotion. Empty for a corpus that spells them out.
    values : mapping of str to mapping
        Group -> its code in lower case -> the word for it; ``None`` for "not specified".
    """

    name: str
    title: str
    reference: str
    licence: str
    pattern: str
    genders: Mapping[str, str]
    codes: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)

    def parse(self, file: PurePath) -> dict[str, str | None] | None:
        """Read what the name of a file says.

        Parameters
        ----------
        file : PurePath
            Path of the clip; its last folder counts, since SAVEE names its speakers there.

        Returns
        -------
        dict or None
            Columns ``emotion``, ``speaker``, ``gender``, ``corpus`` and facts; None when the name is of another kind.

        Examples
        --------
        >>> from pathlib import PurePath
        >>> from sersk.corpora import LAYOUTS
        >>> clip = LAYOUTS["emodb"].parse(PurePath("wav/03a01Fa.wav"))
        >>> clip["emotion"], clip["speaker"], clip["gender"], clip["statement"]
        ('happy', '03', 'male', 'a01')
        """
        match = re.fullmatch(rf"(?:.*/)?{self.pattern}", f"{file.parent.name}/{file.stem}", re.IGNORECASE)
        if match is None:
            return None
        found = {
            group: self.values.get(group, {}).get(code.casefold(), code) for group, code in match.groupdict().items()
        }
        emotion, speaker = match["emotion"], str(found.pop("speaker"))
        emotion = self.codes.get(emotion.casefold(), canonical_emotion(emotion))
        if emotion not in EMOTIONS:
            return None
        row = {"emotion": emotion, "speaker": speaker, "gender": self.genders.get(speaker), "corpus": self.name}
        return {**found, **row}


# VideoDemographics.csv of the corpus: 43 actresses and 48 actors.
_CREMAD_WOMEN = (
    "1002 1003 1004 1006 1007 1008 1009 1010 1012 1013 1018 1020 1021 1024 1025 1028 1029 1030 1037 1043 1046 1047 "
    "1049 1052 1053 1054 1055 1056 1058 1060 1061 1063 1072 1073 1074 1075 1076 1078 1079 1082 1084 1089 1091"
)

_NEMO = {
    **dict.fromkeys(("EB0", "IC0", "KD0", "MK0"), "female"),
    **dict.fromkeys(("KS0", "MP0", "SM0", "TP0", "WR0"), "male"),
}

_ROWS = (
    Layout(
        name="ravdess",
        title="RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song",
        reference="Livingstone & Russo (2018), PLoS ONE 13(5) e0196391, doi 10.1371/journal.pone.0196391",
        licence="CC BY-NC-SA 4.0",
        pattern=(
            r"(?P<modality>0[13])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
            r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<speaker>0[1-9]|1\d|2[0-4])"
        ),
        codes=CODES["ravdess"],
        genders={f"{actor:02d}": "male" if actor % 2 else "female" for actor in range(1, 25)},
        values={
            "modality": {"01": "audio-video", "03": "audio"},
            "channel": {"01": "speech", "02": "song"},
            "intensity": {"01": "normal", "02": "strong"},
        },
    ),
    Layout(
        name="cremad",
        title="CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset",
        reference="Cao et al. (2014), IEEE Trans. Affective Computing 5(4) 377-390, doi 10.1109/TAFFC.2014.2336244",
        licence="Open Database License 1.0",
        # One published file ends in X where all others of its kind end in XX.
        pattern=r"(?P<speaker>10\d\d)_(?P<statement>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<intensity>LO|MD|HI|XX?)",
        codes=CODES["cremad"],
        genders={
            **dict.fromkeys((str(actor) for actor in range(1001, 1092)), "male"),
            **dict.fromkeys(_CREMAD_WOMEN.split(), "female"),
        },
        values={"intensity": {"lo": "low", "md": "medium", "hi": "high", "xx": None, "x": None}},
    ),
    Layout(
        name="tess",
        title="TESS, the Toronto Emotional Speech Set",
        reference="Pichora-Fuller & Dupuis (2020), doi 10.5683/SP2/E8H2MF",
        licence="CC BY-NC-ND 4.0",
        # OA_bite_neutral.wav circulates without the F of its speaker.
        pattern=r"(?P<speaker>OAF?|YAF)_(?P<statement>[a-z]+)_(?P<emotion>[a-z_]+)",
        genders={"OAF": "female", "YAF": "female"},
        values={"speaker": {"oa": "OAF", "oaf": "OAF", "yaf": "YAF"}},
    ),
    Layout(
        name="savee",
        title="SAVEE, the Surrey Audio-Visual Expressed Emotion database",
        reference="Haq & Jackson (2010), in Machine Audition, chapter 17, doi 10.4018/978-1-61520-919-4.ch017",
        licence="for research, on registration with its authors",
        # DC_a01 or DC/a01. Sentence 7 of one emotion is not sentence 7 of another, so the statement keeps the emotion.
        pattern=r"(?P<speaker>DC|JE|JK|KL)[_/](?P<statement>(?P<emotion>sa|su|[adfhn])\d\d)",
        codes=CODES["savee"],
        genders=dict.fromkeys(("DC", "JE", "JK", "KL"), "male"),
        values={"speaker": {speaker.lower(): speaker for speaker in ("DC", "JE", "JK", "KL")}},
    ),
    Layout(
        name="emodb",
        title="EmoDB, the Berlin Database of Emotional Speech",
        reference="Burkhardt et al. (2005), Interspeech 2005, 1517-1520, doi 10.21437/Interspeech.2005-446",
        licence="free to use with citation",
        pattern=r"(?P<speaker>03|08|09|1[0-6])(?P<statement>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z]?)",
        codes=CODES["emodb"],
        genders={
            **dict.fromkeys(("03", "10", "11", "12", "15"), "male"),
            **dict.fromkeys(("08", "09", "13", "14", "16"), "female"),
        },
        values={"version": {"": None}},
    ),
    Layout(
        name="nemo",
        title="nEMO, a dataset of emotional speech in Polish",
        reference="Christop (2024), LREC-COLING 2024, aclanthology 2024.lrec-main.1059",
        licence="CC BY-NC-SA 4.0",
        pattern=(
            rf"(?P<speaker>{'|'.join(_NEMO)})"
            r"_(?P<emotion>anger|fear|happiness|neutral|sadness|surprised)_(?P<statement>\d+)"
        ),
        genders=_NEMO,
        values={"speaker": {speaker.lower(): speaker for speaker in _NEMO}},
    ),
)
LAYOUTS: dict[str, Layout] = {row.name: row for row in _ROWS}


def parse_name(file: PurePath) -> dict[str, str] | None:
    """Read a name such as ``anna_angry_1``.

    Parameters
    ----------
    file : PurePath
        Path of a clip.

    Returns
    -------
    dict or None
        ``speaker``, the first part, and ``emotion``, the second; None where that is no known emotion.

    Examples
    --------
    >>> from pathlib import PurePath
    >>> from sersk.corpora.layouts import parse_name
    >>> parse_name(PurePath("clips/anna-Anger-01.wav"))
    {'emotion': 'angry', 'speaker': 'anna'}
    """
    speaker, _, rest = file.stem.replace("-", "_").partition("_")
    emotion = canonical_emotion(rest.partition("_")[0])
    return {"emotion": emotion, "speaker": speaker} if speaker and emotion in EMOTIONS else None


def parse_folder(name: str) -> str:
    """Read the emotion that a folder is named for.

    Parameters
    ----------
    name : str
        Name of the folder.

    Returns
    -------
    str
        The canonical emotion, with or without a number before or behind it; else the name.

    Examples
    --------
    >>> from sersk.corpora.layouts import parse_folder
    >>> parse_folder("01Neutral"), parse_folder("anger_2"), parse_folder("Actor_01")
    ('neutral', 'angry', 'Actor_01')
    """
    emotion = canonical_emotion(name.strip("0123456789 _-.()[]"))
    return emotion if emotion in EMOTIONS else name
