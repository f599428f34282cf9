# ruff: noqa: E501 (a sentence is easier to read on one line)
"""More plots: a shy start, a seed, a quarrel, a journey, a hungry guest, a contest, a prank, a dream."""

from __future__ import annotations

from .plot import Plot, Question

SHY = Plot(
    "shy",
    ("a new friend", "friendship", "being kind"),
    False,
    (
        (
            "{H} was new {in_p}. {He} did not know anyone.",
            "{H} had no friends. {He} played alone every {time}.",
            "{H} was too shy to talk to others. {He} always stood {spot} and looked on.",
        ),
        (
            "One {weather} {time}, {he} saw {a_friend}, who was also alone.",
            "Then {a_friend} moved into the house next door.",
            "One {time}, {a_friend} sat down {spot}, all alone.",
        ),
        (
            '{H} wanted to say hello. But no word came out. "[Maybe tomorrow|What if {fhe} laughs at me]," {he} thought.',
            "{H} walked past {fhim} once, twice, three times. {He} looked at {his} feet.",
            "{His} face turned red. {He} ran home and hid.",
        ),
        (
            'The next day, {h} took some {food} with {him}. "[Would you like some|Do you want to share this]?" {he} asked in a very small voice.',
            '"If I do not try, I will always be alone," thought {h}. So {he} went over and said, "Hello. My name is {h_name}."',
            'Then the wind blew {f_s} hat away. {H} ran and caught it. "Here," {he} said. It was {his} first word.',
        ),
        (
            '{F} smiled. "Thank you," {fhe} said. "[I was too shy to ask you|I wanted to talk to you, too|I have nobody to play with]."',
            '"Oh, hello!" said {f}. "I am {f_name}. I am so glad that you came. I was lonely."',
        ),
        (
            "They talked about [the weather|the stars|food and games|their mothers]. Then they played until it was dark.",
            "They found out that they both liked {hobby}. What fun they had!",
            "Soon they laughed so loud that the birds flew up.",
        ),
        (
            "And {h} was not shy anymore. At least not with {f}.",
            "That night {h} was too {happy} to sleep. {He} had a friend!",
            '"See you tomorrow!" said {f}. Those were the best words that {h} had ever heard.',
            "Now there were two {in_p}, and nobody was alone.",
        ),
    ),
    (
        "{A_hero} was shy and alone. Then {he} met {a_friend}. {H} was brave and said hello, and they became friends.",
    ),
    ("A small hello can begin a big friendship.", "Others may be shy, too."),
    (
        Question("Who did {h} meet?|Who is the new friend?", "{H} met {f}.", "{f_key}"),
        Question("Who was shy?", "{H} was shy.", "{h_key}"),
        Question("How did {h} feel at the end?", "{H} was {happy}.", "{happy}"),
    ),
    named=True,
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

PRANK = Plot(
    "prank",
    ("telling the truth", "friendship"),
    False,
    (
        (
            "{H} liked to play tricks. [Everyone {in_p} knew it.|{He} thought it was very funny.]",
            "Nobody {in_p} made as many jokes as {h}.",
        ),
        (
            'One {weather} {time}, {h} called, "Help! Help! I am stuck {spot}!" {A_friend} came running. "Ha ha, it was only a joke," said {h}.',
            'One {time} {h} lay down {spot} and called for help. {A_friend} came as fast as {fhe} could. "I fooled you!" laughed {h}.',
        ),
        (
            'The next day {he} did it again. {F} came running again. "That is not funny," said {f}.',
            '{F} was angry. "One day you will need help, and nobody will come," {fhe} said.',
        ),
        (
            "Then one {time}, {h} slipped and really fell. Now {he} was stuck {spot}!",
            "But the day after, {h} really got stuck {spot}.",
        ),
        (
            '"Help!" {he} called. "It is no joke!" But nobody came. {H} was {scared}.',
            "{H} called and called. Everyone heard it, but they all thought it was a trick.",
        ),
        (
            'At last {f} came to look. "Is it true this time?" {fhe} asked. "Yes," said {h}, and {he} cried.',
            'Only {f} thought, "What if it is true?" {Fhe} went to look, and there was {h}.',
        ),
        (
            '{F} helped {him} out. "I am sorry," said {h}. "I will never do it again."',
            "With a rope, {f} pulled {him} out. {H} thanked {fhim} and said sorry to everyone.",
        ),
        (
            "And from then on, {h} only told jokes that made everyone laugh.",
            "After that, when {h} said something, it was true.",
        ),
    ),
    (
        "{A_hero} called for help as a joke, and {a_friend} came. Then {h} really got stuck {spot}. {F} helped {him}, and {h} said sorry.",
    ),
    ("If you always play tricks, nobody will believe you.", "It is best to tell the truth."),
    (
        Question("Who helped {h}?|Who came to help?", "{F} helped {h}.", "{f_key}"),
        Question("Where was {h} stuck?", "{H} was stuck {spot}.", "{spot}"),
        Question("Who liked to play tricks?", "{H} liked to play tricks.", "{h_key}"),
    ),
)

DREAM = Plot(
    "dream",
    ("a wish", "a secret", "patience"),
    True,
    (
        (
            "One night, {h} had a dream. In the dream {he} saw {a_t} {spot}, {in_p}.",
            "{H} dreamed of {a_t}. It lay {spot}, {in_p}, and it was shining.",
        ),
        (
            'The next morning {he} told {his} friend, {a_friend}. "Let us go and look!" said {f}.',
            'In the morning, {h} said to {a_friend}, "I must find that {t}." "It was only a dream," said {f}, "but I will come with you."',
        ),
        (
            "They went {to_p}. They looked for it, but they saw only stones and leaves.",
            "They walked {to_p}, and they looked here and there. There was nothing.",
        ),
        (
            '"You see," said {f}, "dreams are only dreams." {H} was {sad}.',
            '{H} wanted to go home. "I am silly," {he} said.',
        ),
        (
            "But then {he} saw something {spot}. It was just as in the dream!",
            'Then a bird sang, just as in the dream. "Wait!" said {h}, and {he} looked {spot}.',
        ),
        (
            'There was the {t}! {F} opened {fhis} eyes wide. "It is true!" {fhe} said.',
            '"The {t}!" they both cried. It was real.',
        ),
        (
            "They took turns with it and had {food}. {H} was {happy}.",
            "They brought the {t} home and showed it to everyone.",
        ),
        (
            'That night {f} asked, "What will you dream of now?" "Of you and me," said {h}.',
            'And since then, {f} asks every morning, "What did you dream?"',
        ),
    ),
    (
        "{A_hero} dreamed of {a_t}. {H} and {a_friend} went to look for it {in_p}. They found it {spot}, just as in the dream.",
    ),
    ("Sometimes a dream comes true.",),
    (
        Question("What did {h} dream of?|What did they find?", "{H} dreamed of {a_t}.", "{t}"),
        Question("Where was the {t}?|Where did they find it?", "The {t} was {spot}.", "{spot}"),
        Question("Who went with {h}?", "{F} went with {h}.", "{f_key}"),
    ),
)

MORE_PLOTS = (SHY, PLANT, QUARREL, JOURNEY, HUNGRY, CONTEST, PRANK, DREAM)
