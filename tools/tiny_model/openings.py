# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Templates of the beginnings, endings and follow-ups of stories."""

from __future__ import annotations

_ANY = (
    "Once upon a time, there was {a_hero}.",
    "Once upon a time there was {a_hero}.",
    "Once upon a time, there was {a_hero} who lived {home}.",
    "Once upon a time, {a_hero} lived {home}.",
    "Once upon a time {home}, there lived {a_hero}.",
    "Long ago, {a_hero} lived {home}.",
    "A long time ago, there was {a_hero}.",
    "There once was {a_hero}.",
    "Once there was {a_hero} who lived {home}.",
    "In a [small|little|old|yellow] house {home} lived {a_hero}.",
    "This is the story of {a_hero}.",
    "This is a story about {a_hero} who loved {hobby}.",
    "Not far from here, {home}, there lived {a_hero}.",
    "My grandmother told me this story. It is about {a_hero}.",
    "Far, far away, {home}, lived {a_hero}.",
    "When the world was young, there was {a_hero}.",
    "Listen! I will tell you about {a_hero}.",
    "{Home}, there lived {a_hero}.",
    "Deep in the night, the stars told a story about {a_hero}.",
    "Every day, {a_hero} came {to_p}.",
    "There was {a_hero}, and {he} loved {hobby}.",
    "On the edge of the world lived {a_hero}.",
    "It was a {weather} year {in_p}. {A_hero} lived there.",
    "In a land of hills and rivers, there was {a_hero}.",
)
OPENINGS_UNNAMED = (
    *_ANY,
    "The {trait} {hk} had no name. Everyone just called {him} the {hk}.",
    "The {size} {hk} lived {home}.",
    "The {hk} was {trait}, and everyone {in_p} knew it.",
    "The {hk} lived {home} and loved {hobby}.",
    "The {hk} came {to_p} every day.",
)
OPENINGS = (
    *_ANY,
    "{H_name} was a {trait} {hk}.",
    "{H_name} was a {size} {hk}, and {he} lived {home}.",
    "{H_name} was a {size} {hk} who loved {hobby}.",
    "{H_name} the {hk} lived {home}.",
    "{H_name} the {hk} was very {trait}.",
    "Do you know {h_name}, the {trait} {hk}?",
    "Everyone {in_p} knew {h_name} the {hk}.",
    "Nobody {in_p} was as {trait} as {h_name}, the {size} {hk}.",
    "There was no {hk} like {h_name}.",
    "Have you heard about {h_name}, the {hk} who loved {hobby}?",
    "Once there was a {hk}. {His} name was {h_name}.",
    "The {hk} {in_p} was called {h_name}.",
    "The {size} {hk} was called {h_name}, and {he} lived {home}.",
    "The {hk} was called {h_name} and loved {hobby}.",
)
TRAITS = (
    "{He} was very {trait}.",
    "{He} was {trait}, and everyone {in_p} liked {him}.",
    "{He} liked {hobby}.",
    "{He} was {trait}, and {he} loved {hobby}.",
    "All day long, {he} liked {hobby}.",
    "Most of all, {he} loved {hobby}.",
    "{His} house was [small|old|plain], but {he} was {happy} there.",
    "{He} had [a warm bed|a small garden|a big heart|two good ears] and a {trait} mind.",
    "{He} was not very [big|strong|fast], but {he} was {trait}.",
    "Nobody loved {hobby} as much as {he} did.",
    "{He} ate {food} every day.",
)
CLOSINGS = (
    "The end.",
    "And they lived happily ever after.",
    "And that is the end of the story.",
    "And if they have not stopped, they are still laughing today.",
    "Good night!",
    "And all was well {in_p}.",
    "What a day it was!",
)
MORE = (
    "The next day, {h} got up early. {He} ate {food} and went {to_p}. [It was a {weather} day.|The sun was shining.] {He} thought of what had happened and smiled.",
    "After that, {h} often told the story {in_p}. Everyone wanted to hear it again and again. And {h} was {happy}.",
    "A year later, {h} came back {to_p}. Everything was still the same. {He} sat down {spot} and was {happy}.",
    "That night it rained {in_p}. {H} lay in bed, listened to the rain, and thought of the day. Then {he} fell asleep.",
    "The next morning, {h} wanted to {job}. It was not easy, but {he} was {trait}, and it went well.",
)
