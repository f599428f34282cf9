"""Synthetic chat texts, and search queries that are hard to answer in them.

Words are as frequent as those of a language (Zipf), many begin alike, sentences have signs, and
some texts are code, Chinese, Hindi, or have an emoji.
"""

import random

VOCABULARY = 20_000
STEMS = 300
"""Words that most others begin with."""
MOST_WORDS = 1500
"""Words of the longest text; the median is 60."""
RARE = "rareword"
CHINESE = "我们在研究人工智能的科学家和他们的问题"
HINDI = "हिन्दी में लिखा हुआ पाठ का कृपया"
CODE = "for (int i = 0; i < n; i++) { a[i] += b->c[i] ? x : !y; } // see C++, C#"
_SYLLABLES = [a + b for a in "thnsrldmcwpgbkv" for b in ("e", "a", "o", "i", "u", "en", "er")]


def word(rank: int) -> str:
    """Word by its rank of frequency, from 0."""
    if rank < len(_SYLLABLES):
        return _SYLLABLES[rank]
    if rank < len(_SYLLABLES) + STEMS:
        return _spelled(rank + 5 * len(_SYLLABLES), 2)
    # The more frequent a stem is, the more words it has.
    stem = word(len(_SYLLABLES) + int(STEMS * (rank * 0.618 % 1) ** 3))
    return stem + _spelled(rank, 2)


def _spelled(number: int, syllables: int) -> str:
    spelled = ""
    for _ in range(syllables):
        number, digit = divmod(number, len(_SYLLABLES))
        spelled += _SYLLABLES[digit]
    return spelled


_WORDS = [word(rank) for rank in range(VOCABULARY)]


def text(rng: random.Random) -> str:
    """A random text of one turn."""
    count = min(MOST_WORDS, int(rng.lognormvariate(4.1, 0.9)))
    words = [_WORDS[int(VOCABULARY ** rng.random()) - 1] for _ in range(count)]
    for place in range(0, count, 7):
        words[place] += rng.choice([",", ",", ".", ".", ".", "?", "!", ":", "'s", ' ("so")'])
    if rng.random() < 0.1:
        words.append(CHINESE[rng.randrange(9) :])
    if rng.random() < 0.05:
        words.append(HINDI)
    if rng.random() < 0.1:
        words.append(CODE)
    if rng.random() < 0.02:
        words.append(rng.choice(["👍", "🎉", "👩‍🚀", "❤️"]))
    if rng.random() < 0.0001:
        words.append(f"{RARE} =>")
    return " ".join(words)


COMMON = [word(rank) for rank in (0, 1, 2, 3)]
_STEM = word(len(_SYLLABLES))
QUERIES = {
    "one letter": ["a", "i", "x", "z"],
    "a common word": [COMMON[0], COMMON[1], "Thé"],
    "a rare word": [RARE, f"{RARE} {COMMON[0]}"],
    "several common words": [" ".join(COMMON[:2]), " ".join(COMMON), f"{COMMON[0]} i x"],
    "the beginning of many words": [
        COMMON[0][:2], "th", _STEM[:3], _STEM[:4], _STEM, f"{_STEM} {COMMON[0]}",
        f"{_STEM[:4]} {_STEM[:3]} {_STEM[:2]}",
    ],
    "a phrase": [
        f'"{COMMON[0]} {COMMON[1]}"', f'"{COMMON[1]} {COMMON[1]} {COMMON[1]}"',
        f'"{" ".join(COMMON)}"', f'"{COMMON[0]} {RARE}"',
    ],
    "signs only": [".", ",", "=>", "->", "{}", "!!!", "?!", "->>", '"= >"', "; i", "% ^", "(.)"],
    "letters and signs": ["c++", "C#", "c--", "i++", "a.", "e,", "i?", "'s", "s'", "x=", "b->c"],
    "Chinese": ["人工智能", "人", "的问", "科学 我们", "智工", "我的"],
    "vowel signs": ["हिन्दी", "का", "कृ", "लिखा", "दि"],
    "an emoji": ["👍", "👩‍🚀", "🎊", "❤️", f"👍 {COMMON[0]}"],
    "nothing there": ["zzzz", "zq", "§", f"{COMMON[0]} zzzz", f'"{RARE} zzzz"', "<=>", "\u200f"],
}  # fmt: skip
"""Queries by kind; the slowest of a kind counts."""
