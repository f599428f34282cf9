# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots about sharing, giving and trading."""

from __future__ import annotations

from .plot import Plot, Question

SHARING = Plot(
    "sharing",
    ("sharing", "friendship", "being kind"),
    True,
    (
        (
            "{H} had {a_t}. Nobody else {in_p} had one.",
            "One {time} {h} got {a_t}. {He} played with it [from morning to night|all day|{in_p}].",
            "{H} was very proud of {his} {t_look}.",
        ),
        (
            'One {weather} {time}, {a_friend} came to {p}. "May I [hold|try|see] your {t}?" asked {f}.',
            '{A_friend} saw it and came near. "What a nice {t}! Can I play too?" asked {f}.',
            'One {time} {he} met {a_friend}. "Please, can we share the {t}?" asked {f}.',
        ),
        (
            '"No!" said {h}. "It is [mine|my {t}|only for me]." {F} [walked away|went away slowly|looked down]. {Fhe} was {sad}.',
            '"No, you will break it," said {h}. So {f} sat down alone {spot}. {Fhe} felt {sad}.',
            '{H} held the {t} tight. "Go away," {he} said. {F} began to cry and went to sit {spot}.',
        ),
        (
            "{H} played alone. But it was not [fun|much fun] anymore. The {time} was [long|slow] and quiet.",
            "Soon {h} grew bored. A {t} is no fun [when you are alone|without a friend], {he} thought.",
            "{H} looked at {f}. Then {he} looked at the {t}. {He} felt bad.",
        ),
        (
            '{He} went to {f}. "I am sorry," said {h}. "[We can share the {t}|Come and play with me|Here, you can have a turn]."',
            'So {h} walked over. "[I was wrong|I was not kind|That was mean of me]," {he} said. "Let us share it."',
            '"{F_name}, come back!" {h} called. "You can [use|hold|have] the {t} first."',
        ),
        (
            "{F} smiled. They played with the {t} [until dark|all {time}|until it was time to go home].",
            '"Thank you!" said {f}. {Fhe} had some {food}, and {fhe} shared it too.',
            "They took turns. First {f}, then {h}, then {f} again. They laughed and laughed.",
        ),
        (
            "{H} was {happy}. The {t} was much more fun with two.",
            "That day {h} learned that sharing makes everything better.",
            '"This is the best day," said {h}. And {f} thought so too.',
            "After that, {h} always shared {his} {t} with {f}.",
        ),
    ),
    (
        "{A_hero} did not want to share {his} {t}. {A_friend} was {sad}. Then {h} said sorry, and they played with the {t} together.",
    ),
    ("Sharing makes everything more fun.", "A thing is more fun with a friend."),
    (
        Question("What did {h} not want to share?|What did {h} have?", "{H} had {a_t}.", "{t}"),
        Question(
            "Who wanted to play with the {t}?|Who asked for the {t}?",
            "{F} wanted to play with the {t}.",
            "{f_key}",
        ),
        Question("Why was {f} {sad}?", "{F} was {sad} because {h} did not share the {t}.", "share"),
    ),
)

GIFT = Plot(
    "gift",
    ("a gift", "a birthday", "being kind", "friendship"),
    True,
    (
        (
            "It was the birthday of {his} friend, {a_friend}. {H} wanted to [give|bring] {fhim} something special.",
            "{H} had a friend, {a_friend}. {F} was having a birthday soon. What could {h} give {fhim}?",
            "{H} had a friend, {a_friend}, who was ill and had to stay in bed. {H} wanted to bring {fhim} a gift.",
        ),
        (
            "{He} looked {in_p} and found {a_t} {spot}. It was just right!",
            '{He} went to {p}. There {he} saw {a_t}. "[This is it|That is just right|{F} will love this]!" {he} said.',
            "{He} worked for [three|two|many] days and made {a_t}.",
        ),
        (
            "{H} put the {t} in a box and started to walk. But on the way it began to rain.",
            "{He} carried the {t} over the hill. It was heavy, and the road was long.",
            "On the way, a strong wind came and blew the {t} out of {his} hands. {He} ran after it and caught it.",
            "On the way {he} stepped into a puddle, and the {t} got all muddy.",
        ),
        (
            '"[I must not give up|I can do it|Just a little more]," {h} said to {himself}.',
            "{H} was tired and {sad}. But {he} thought of {f} and went on.",
            "{H} wanted to cry, but {he} did not turn back.",
        ),
        (
            'At last {he} came to {f_s} house and knocked at the door. "I have something for you," {he} said.',
            'When it was almost dark, {he} stood at {f_s} door. "Surprise!" {he} said, and gave {fhim} the {t}.',
            'Finally {he} was there. "This {t} is for you, {f_name}," said {h}.',
        ),
        (
            '{F} looked at the {t}. "[This is the best gift of all|Nobody ever gave me something so nice|I love it]," {fhe} said.',
            '{F} was so {happy} that {fhe} [clapped|laughed out loud|hugged {h}]. "A {t}! For me?"',
            '"You came all this way for me?" said {f}. {Fhe} smiled at the {t}, and then at {h}.',
        ),
        (
            "Then they ate {food} together, and the whole house was warm.",
            "They had {food} and told stories until the moon was high.",
            '"The gift is nice," said {f}, "but a friend like you is even better."',
            "{F} put the {t} next to {fhis} bed, and there it stands to this day.",
        ),
    ),
    (
        "{A_hero} wanted to give a gift to {a_friend}. {H} brought {fhim} {a_t}. It was a hard way, but {f} was very {happy}.",
    ),
    ("A gift from the heart is the best gift.", "It is good to think of a friend."),
    (
        Question("What did {h} give to {f}?|What was the gift?", "{H} gave {f} {a_t}.", "{t}"),
        Question("Who got the {t}?|Who was the {t} for?", "The {t} was for {f}.", "{f_key}"),
        Question("Who gave {f} the {t}?", "{H} gave {f} the {t}.", "{h_key}"),
    ),
)

TRADE = Plot(
    "trade",
    ("patience", "a new friend"),
    True,
    (
        (
            "{H} wanted {a_t} more than anything. But {he} had no money.",
            'At the market, {h} saw {a_t}. "I want that {t}," {he} said. But {he} had nothing to pay with.',
            "All {his} friends had a {t}. Only {h} had none.",
        ),
        (
            "One {weather} {time} {he} met {a_friend} {in_p}. {F} had just such a {t}.",
            "One {time} {a_friend} came by with a cart. On the cart was the {t}.",
            "Then {he} heard that {a_friend} had one. So {he} went to {p} to see {fhim}.",
        ),
        (
            '"If you help me [{job}|pick apples|carry my bags|clean my house], I will give you the {t}," said {f}.',
            '"What will you give me for it?" asked {f}. "I can work," said {h}. "Good," said {f}. "Then help me for [three|five|seven] days."',
            '"You can have the {t}," said {f}. "But first, tell me [a story that makes me laugh|a riddle that I cannot solve]."',
        ),
        (
            "So {h} worked hard. {He} got up with the sun and did not stop until {time_end}.",
            "It was not easy. {H} tried once, and it went wrong. {He} tried again, and it went better.",
            "{H} did {his} best. {He} wanted to give up, but {he} thought of the {t}.",
        ),
        (
            '"Well done!" said {f} at last. "Here is your {t}."',
            '{F} was {happy} and gave {him} the {t}. "You have earned it," {fhe} said.',
            'Then {f} [laughed|smiled|nodded]. "The {t} is yours," {fhe} said.',
        ),
        (
            "{H} held the {t} in the sun. It was the best {t} in the world, because {he} had worked for it.",
            '"Thank you!" said {h}. "I will take good care of it."',
            "{H} ran home with the {t}. {He} was so {happy} that {he} sang all the way.",
        ),
        (
            "And every week {he} went back to {p} to visit {f}.",
            "But best of all, {h} and {f} were friends now.",
            "{H} kept that {t} for all of {his} life.",
        ),
    ),
    (
        "{A_hero} wanted a {t} but had no money. {A_friend} had one. {H} worked hard for it, and {f} gave {him} the {t}.",
    ),
    ("Good things come to those who work for them.", "Be patient and do your best."),
    (
        Question("What did {h} want?", "{H} wanted {a_t}.", "{t}"),
        Question("Who had the {t}?|Who gave {h} the {t}?", "{F} gave {h} the {t}.", "{f_key}"),
    ),
)

QUARREL = Plot(
    "quarrel",
    ("friendship", "being kind"),
    True,
    (
        (
            "{H} and {his} friend, {a_friend}, did everything together. One {time} they found {a_t} {spot}.",
            "{H} was playing with {his} friend, {a_friend}. Then they both saw {a_t} {spot}.",
        ),
        (
            '"I saw the {t} first!" said {h}. "No, I did!" said {f}.',
            '"It is mine!" said {h}. "No, mine!" said {f}. They both held on to the {t}.',
        ),
        (
            "They pulled, and they pulled. Then they both fell down in the mud.",
            "They became so angry that they did not talk anymore. {H} went left, and {f} went right.",
            '"You are not my friend anymore," said {f}, and {fhe} went home. {H} went home, too.',
        ),
        (
            "At home, {h} was {sad}. The house was quiet. {He} could not eat and could not play.",
            "{H} had the {t} now. But it was no fun. {He} missed {f}.",
            "That night, {h} looked at the moon. Was {f} looking at it, too?",
        ),
        (
            'In the morning, {h} took the {t} and went to {f}. "You can have it," {he} said. "I am sorry."',
            'The next day they met {in_p}. They both said at the same time, "I am sorry!"',
            '{H} knocked at {f_s} door. "A {t} is only a {t}," {he} said. "But you are my friend."',
        ),
        (
            'Then they laughed. "Let us keep the {t} here, for both of us," said {f}.',
            '"I do not want the {t}," said {f}. "I want to play with you."',
        ),
        (
            "And so they did. They ate {food} and were {happy} again.",
            "And they never had a fight about a {t} again.",
            "{H} and {f} are still friends today.",
        ),
    ),
    (
        "{A_hero} and {a_friend} both wanted {a_t}. They had a fight and were {sad}. Then they said sorry and were friends again.",
    ),
    ("A friend is worth more than a thing.", "It is good to say sorry."),
    (
        Question(
            "What did they find?|What was the fight about?", "They both wanted the {t}.", "{t}"
        ),
        Question("Who is {h_s} friend?", "{H_s} friend is {f}.", "{f_key}"),
        Question(
            "Where did they find the {t}?|Where did they see the {t}?",
            "They found the {t} {spot}.",
            "{spot}",
        ),
    ),
)

HUNGRY = Plot(
    "hungry",
    ("sharing", "being kind", "helping others"),
    False,
    (
        (
            "It was a cold winter. {H} had only a little {food} left.",
            "One {weather} {time}, {h} sat at the table with {food}. It was all {he} had.",
            "{H} had cooked all {time}. On the table stood {food}.",
        ),
        (
            'Knock, knock! At the door was {a_friend}. "I am so hungry," said {f}.',
            "Then {a_friend} came to the door. {Fhe} had come all the way from {p}, and {fhe} was thin and cold.",
            'Outside in the snow stood {a_friend}. "Do you have something to eat?" asked {f}.',
        ),
        (
            "{H} looked at the {food}. There was not enough for two. What should {he} do?",
            '"If I share it, I will be hungry, too," thought {h}.',
        ),
        (
            'But then {h} said, "Come in. Half for you, and half for me."',
            '{H} opened the door wide. "Sit down and eat," {he} said.',
        ),
        (
            "They ate together, and it was enough after all. {F} told funny stories, and the room grew warm.",
            "{F} ate and ate. Then {fhe} smiled for the first time.",
        ),
        (
            "In the spring, there was a knock again. It was {f}, with a cart full of {food}!",
            "Many weeks later, {h} found a big basket at the door. It was full of {food}, and it was from {f}.",
        ),
        (
            '"You shared with me when you had so little," said {f}. "Now I share with you."',
            '"This is for you, {h_name}," said {f}, "because you were kind to me."',
        ),
        (
            "Then they called all the neighbors and had a big party.",
            "{H} was so {happy} that {he} did not know what to say.",
            "And neither of them was ever hungry again.",
        ),
    ),
    (
        "{A_hero} had only a little {food}. {A_friend} was hungry, and {h} shared it. Later {f} came back with much more {food}.",
    ),
    ("What you share comes back to you.", "Even a little is enough for two."),
    (
        Question(
            "Who was hungry?|Who was at the door?|Who came to the door?",
            "{F} was hungry.",
            "{f_key}",
        ),
        Question("What did {h} share?|What did they eat?", "{H} shared the {food}.", "{food}"),
        Question("Who shared the food?", "{H} shared the food.", "{h_key}"),
    ),
)
