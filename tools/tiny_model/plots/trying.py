# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots about trying, waiting and getting there."""

from __future__ import annotations

from .plot import Plot, Question

LEARN = Plot(
    "learn",
    ("patience", "friendship", "helping others"),
    False,
    (
        (
            "{H} wanted to {job}. [But {he} did not know how.|{He} dreamed of it every night.|It was all {he} could think of.]",
            "More than anything, {h} wanted to {job}.",
            '"One day I will {job}," {h} said to everyone {in_p}.',
        ),
        (
            "{He} tried on {a_weather} {time}. It did not work. {He} tried again. It still did not work.",
            "One {weather} {time} {he} tried for the first time. [What a mess!|Bump! {He} fell down.|It went all wrong.]",
            "{He} tried and tried, but [something always went wrong|it was too hard|nothing came of it].",
        ),
        (
            'The others laughed. "[You are too small|You will never do it|Give up]!" they said. {H} was {sad}.',
            '"I will never {job}," said {h}. {He} sat down {spot} and felt {sad}.',
            "{H} was so {sad} that {he} wanted to give up.",
        ),
        (
            '{A_friend} saw it. "I can show you how," said {f}.',
            'But then {a_friend} came by. "[It took me a long time, too|I could not do it at first|Everyone has to learn]," said {f}.',
            '{He} went to {p} and asked {a_friend}. "How do you {job}?" "[Slowly|Step by step|With a friend]," said {f}, "and never alone."',
        ),
        (
            "So they worked together. {F} showed {him} one thing a day.",
            '"First watch, and then do it slowly," said {f}. {H} watched and did it slowly.',
            "Every {time} they met {in_p}. {H} tried, and {f} helped. Little by little, it went better.",
        ),
        (
            "Then, one {time}, {h} did it! [It was not perfect, but it was good.|Nobody could believe it.]",
            'At last it worked! "I did it!" {h} shouted. "[Look, {f_name}|I really did it]!"',
            "And after many days, {h} could do it all alone.",
        ),
        (
            "{F} was as {happy} as {h}. They had a party with {food}.",
            'Everyone clapped. "I knew you could do it," said {f}.',
            "{H} was very {happy}. {He} thanked {f} with a big hug.",
        ),
        (
            'And when someone small says, "I cannot do it," {h} says, "Not yet. I will show you."',
            "Now {h} helps others who want to learn.",
            "From then on, {h} was never afraid to try new things.",
        ),
    ),
    (
        "{A_hero} wanted to {job}, but {he} could not do it. {A_friend} showed {him} how. After a while, {h} could do it.",
    ),
    ("If you try again and again, you can learn it.", "Everyone has to start small."),
    (
        Question("What did {h} want to do?|What did {h} learn?", "{H} wanted to {job}.", "{job}"),
        Question("Who helped {h}?|Who showed {h} how?", "{F} helped {h}.", "{f_key}"),
    ),
)

RACE = Plot(
    "race",
    ("a race", "being kind", "friendship"),
    False,
    (
        (
            "There was going to be a big race {in_p}. {H} wanted to win it.",
            'One {weather} {time}, there was a race {in_p}. "I will be there," said {h}.',
            "Every year, there was a race from {p} to {p2}. This year, {h} was in it.",
        ),
        (
            'The fastest of all was {a_friend}. "You are too slow," {f} told {h}. "I will win."',
            '{H} ran against {a_friend}. {F} laughed. "I always win," {fhe} said.',
            "There was also {a_friend}, who had won every year.",
        ),
        (
            "One, two, three, go! They all ran as fast as they could. {F} was in front.",
            "The race began. {F} ran like the wind, and {h} was far behind.",
            "Off they went! Dust flew up. {H} ran and ran, but {f} was faster.",
        ),
        (
            'Then {f} fell over a stone. "Ouch! My foot!" {fhe} cried. Nobody stopped.',
            "But halfway, {f} slipped and fell {spot}. {Fhe} could not get up.",
            "Suddenly {h} saw {f} {spot}. {Fhe} had hurt {fhis} leg.",
        ),
        (
            '{H} could win now! But {he} stopped. "Come, I will help you," {he} said.',
            'The end was near. {H} looked at it, and then {he} looked back at {f}. "A friend is more than a race," {he} said, and stopped.',
            "{H} did not run on. {He} helped {f} up and held {fhim}.",
        ),
        (
            "Together they walked to the end, side by side. They were last, but everyone clapped.",
            "So they went on together, slowly. They came in last of all.",
            "They came in last. But the others cheered as if they had won.",
        ),
        (
            '"You could have won," said {f}. "I know," said {h}. "But this is better."',
            '"Why did you stop?" asked {f}. "Because you needed me," said {h}.',
            '"I am sorry that I laughed," said {f}. "You are the real winner."',
        ),
        (
            "And they both got {food}, because there was enough for all.",
            "After that day they always ran together, just for fun.",
            "{H} went home {happy}. {He} had not won a race, but {he} had won a friend.",
        ),
    ),
    (
        "{A_hero} ran in a race against {a_friend}. {F} fell, and {h} stopped to help {fhim}. They came in last, but they were friends.",
    ),
    ("A friend is more than a race.", "To help is better than to win."),
    (
        Question("Who fell?|Who was hurt?", "{F} fell.", "{f_key}"),
        Question("Who helped {f}?|Who stopped?", "{H} stopped and helped {f}.", "{h_key}"),
        Question("Where was the race?", "The race was {in_p}.", "{p}"),
        Question("Did {h} win the race?", "No, {h} did not win. {He} stopped to help {f}.", "no"),
    ),
)

PLANT = Plot(
    "plant",
    ("patience", "sharing"),
    False,
    (
        (
            'One {weather} {time}, {a_friend} gave {h} a little seed. "Plant it, and wait," said {f}.',
            '{H} got a seed from {his} friend, {a_friend}. "What will it be?" asked {h}. "Wait and see," said {f}.',
        ),
        (
            "{H} put it into the ground {in_p}. {He} gave it water and sat down to wait.",
            "{He} made a hole {in_p}, put the seed in, and covered it with earth.",
        ),
        (
            "{H} waited one day. Nothing came. {He} waited two days. Still nothing.",
            "The next morning {he} ran out to look. But there was nothing to see.",
        ),
        (
            '"It does not work!" said {h}. {He} was {sad}. "[Be patient|Give it time|Good things are slow]," said {f}.',
            '{H} wanted to dig it up. "No, no," said {f}. "It is asleep. Sing to it."',
        ),
        (
            "So {h} sang to it every {time}. The rain came, and the sun came.",
            "Days went by. {H} gave it water and told it stories.",
            "{H} waited and waited. It rained, and it stopped, and it rained again.",
        ),
        (
            "Then one {time}, there was a tiny green leaf! {H} [jumped up and down|could not believe it|ran to tell {f}].",
            'And one {time}, something green looked out. "{F_name}, come quickly!" called {h}.',
        ),
        (
            "It grew and grew. By summer it was a big {plant}, taller than {h}.",
            "It grew into a beautiful {plant}. Everyone {in_p} came to see it.",
        ),
        (
            '{H} and {f} sat under it and ate {food}. "It was worth the wait," said {h}.',
            "And {h} gave a seed of it to everyone who asked. {He} was {happy}.",
            '"See?" said {f}. "You only had to wait." And {h} smiled.',
        ),
    ),
    (
        "{A_friend} gave {a_hero} a seed. {H} planted it and waited a long time. At last it grew into a big {plant}.",
    ),
    ("Good things take time.",),
    (
        Question("What did the seed become?|What grew?", "It grew into a big {plant}.", "{plant}"),
        Question("Who gave {h} the seed?", "{F} gave {h} the seed.", "{f_key}"),
        Question("Where did {h} plant the seed?", "{H} planted the seed {in_p}.", "{in_p}"),
    ),
)

JOURNEY = Plot(
    "journey",
    ("patience", "being brave", "friendship"),
    True,
    (
        (
            '{H} had never seen {p2}. "I want to go there," {he} said one {weather} {time}.',
            "One {time}, {h} heard a song about {p2}. From then on, {he} wanted to see it.",
        ),
        (
            "{He} put {food} in a bag and took {a_t} with {him}. Then {he} went on {his} way.",
            "{He} said goodbye to everyone {in_p} and went off with {a_t} on {his} back.",
        ),
        (
            "The first day, it rained. {H} got wet to the bone. But {he} went on.",
            "The road went up and down. {His} feet hurt.",
            "Soon {he} came to a wide river. There was no bridge.",
        ),
        (
            'There {he} met {a_friend}. "Where are you going?" asked {f}. "To see {p2}," said {h}. "May I come, too?" "Yes," said {h}.',
            'Then {a_friend} came along. "I know the way," said {f}. "We can go together." {H} was {happy} to hear that.',
        ),
        (
            "They walked for three days. At night they slept {spot} and looked at the stars.",
            "When {h} was tired, {f} sang a song. When {f} was hungry, {h} shared the {food}.",
            "The {t} helped them on the way. And when one was {scared}, the other was brave.",
        ),
        (
            "And then they saw it: {p2}! It was more beautiful than {h} had dreamed.",
            "At last they came over the last hill, and there was {p2}. They both stood still.",
        ),
        (
            '"It was a long way," said {h}. "But the way was the best part," said {f}.',
            "They sat down and did not say a word. They were {happy}.",
        ),
        (
            "Then they went home and told everyone about it.",
            "They left the {t} there, so that others could use it, and went home.",
            "And every year, the two friends went back to {p2}.",
        ),
    ),
    (
        "{A_hero} wanted to see {p2}. {He} took {a_t} and met {a_friend} on the way. After a long walk, they saw {p2}.",
    ),
    ("The way is often the best part.", "A long way is shorter with a friend."),
    (
        Question(
            "Where did {h} go?|Where did {h} want to go?|What did {h} want to see?",
            "{H} wanted to see {p2}.",
            "{p2}",
        ),
        Question("Who went with {h}?|Who did {h} meet?", "{F} went with {h}.", "{f_key}"),
        Question("What did {h} take along?|What did {h} carry?", "{H} took {a_t} along.", "{t}"),
    ),
)

CONTEST = Plot(
    "contest",
    ("being kind", "telling the truth"),
    True,
    (
        (
            "There was a contest {in_p}. Who could make the best {t}?",
            '"The one with the finest {t} wins a prize!" said the sign {in_p}.',
        ),
        (
            "{H} worked day and night on {a_t}. It was not very big, but {he} made it with love.",
            "{H} wanted to win. {He} made {a_t} with {his} own hands.",
        ),
        (
            '{A_friend} made one, too. It was as big as a house. "Yours is too small," {f} said and laughed.',
            '{A_friend} bought a very big one. "I will win," said {f}. "Look at yours! It is so plain."',
        ),
        (
            "{H} was {sad}. {He} hid {his} {t} {spot}.",
            '"{F} is right," thought {h}. "Mine is not good enough."',
        ),
        (
            "Then the day of the contest came. {F_s} {t} was so big that it fell over. Crash!",
            "On the day of the contest, a strong wind came. It took {f_s} big {t} away.",
        ),
        (
            '{F} cried. {H} went to {fhim}. "We can make mine even better, together," {he} said.',
            '"Do not cry," said {h}. "You can stand with me and my {t}."',
        ),
        (
            "The two of them showed the little {t}. Everyone could see that it was made with love. It won!",
            'And the little {t} won the prize. "It is from both of us," said {h}.',
        ),
        (
            '"I am sorry that I laughed," said {f}. They shared the prize, and it was {food}.',
            "{H} was {happy}, and {f} never laughed at small things again.",
        ),
    ),
    (
        "{A_hero} made {a_t} for a contest. {A_friend} laughed at it, but {f_s} own {t} broke. {H} shared, and they won together.",
    ),
    ("Small things made with love are the best.",),
    (
        Question("What did {h} make?", "{H} made {a_t}.", "{t}"),
        Question("Who laughed at {h}?", "{F} laughed at {h}.", "{f_key}"),
        Question("Where was the contest?", "The contest was {in_p}.", "{p}"),
    ),
)
