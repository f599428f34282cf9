# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots about what goes wrong and is put right."""

from __future__ import annotations

from .plot import Plot, Question

BROKEN = Plot(
    "broken",
    ("telling the truth", "being kind"),
    True,
    (
        (
            "{H} had a good friend, {a_friend}. {F} had {a_t} and loved it [very much|dearly].",
            "{H} lived next door to {a_friend}. {F} was proud of {fhis} {t_look}.",
            "Every {time}, {h} visited {a_friend}. In {fhis} house stood {a_t}.",
        ),
        (
            "One {weather} {time}, {h} played with the {t}. It slipped and fell. Crack! The {t} broke.",
            "One {time} {he} jumped too high and bumped into the {t}. It fell down and broke in two.",
            "One {weather} {time}, {f} was away. {H} picked up the {t}. Oh no, it fell and broke!",
        ),
        (
            "{H} was {scared}. {He} hid the {t} {spot} and ran away.",
            "{H} did not know what to do. {He} put the {t} {spot}, so that nobody would see it.",
            'Nobody had seen it. "I will hide it," {he} thought. And {he} hid the {t} {spot}.',
        ),
        (
            'When {f} came home, {fhe} looked for the {t}. "Have you seen it?" {fhe} asked. {H} turned red.',
            'Soon {f} asked, "Where is my {t}?" {Fhe} looked so {sad} that {h} felt a stone in {his} heart.',
            "That night {h} could not sleep. {He} thought of {f} and the {t} all night long.",
        ),
        (
            '"I broke your {t}," {h} said at last. "I am so sorry. I hid it {spot}."',
            'Then {h} told the truth. "It was me. The {t} is {spot}. I was {scared}," {he} said.',
            '{H} took a deep breath. "I have to tell you something," {he} said. "I broke the {t} and hid it {spot}."',
        ),
        (
            '{F} was quiet. Then {fhe} said, "Thank you for telling me. [We can fix it|A {t} can be fixed|You matter more than a {t}]."',
            '"It was brave to tell the truth," said {f}. "Let us fix it together."',
            '{F} was sad, but {fhe} was not angry. "[Anyone can break a thing|I am glad you told me]," {fhe} said.',
        ),
        (
            "They got some glue and fixed the {t}. It looked [almost new|a little funny, but it was whole again].",
            "So they sat down with glue and string. By evening, the {t} was as good as new.",
            "They worked all {time}. When the {t} was whole again, they ate {food}.",
        ),
        (
            "{H} felt {happy} and light, like a feather in the wind.",
            "And {h} never hid anything from {f} again.",
            "That night {h} slept very well.",
            "{H} had learned that the truth is better than a secret.",
        ),
    ),
    (
        "{A_hero} broke the {t} of {a_friend} and hid it {spot}. At last {h} told the truth, and they fixed the {t} together.",
    ),
    ("It is best to tell the truth.", "The truth is better than a secret."),
    (
        Question("What broke?|What did {h} break?", "{H} broke {f_s} {t}.", "{t}"),
        Question(
            "Where did {h} hide the {t}?|Where was the {t}?", "{H} hid the {t} {spot}.", "{spot}"
        ),
        Question("Whose {t} was it?", "It was {f_s} {t}.", "{f_key}"),
        Question("What did they do at the end?", "They fixed the {t} together.", "fixed"),
    ),
)

MAGIC = Plot(
    "magic",
    ("a wish", "a secret"),
    True,
    (
        (
            "One {weather} {time}, {h} found {a_t} {spot}. When {he} touched it, it began to [glow|shine|hum].",
            'One {time}, {h} met {a_friend} {in_p}. {F} gave {him} {a_t}. "It is magic," said {f}. "[Take care|Be careful]!"',
            '{In_p}, {h} found {a_t}. "I can give you one wish," said the {t}. {H} could not believe it.',
        ),
        (
            '"I wish for a mountain of {food}," said {h}. And at once there was {food} everywhere!',
            '"I wish I was as tall as a tree," said {h}. And {he} grew and grew and grew.',
            '"I wish it was never night," said {h}. And the sun did not go down anymore.',
            '"I wish everyone was as quiet as a stone," said {h}. And all at once, nobody could speak.',
            '"I wish I could fly," said {h}. And up {he} went, over the roofs, higher and higher.',
        ),
        (
            "At first it was fun. But soon {h} was {sad}. [It was too much|It was all wrong|Nobody came to play].",
            "{H} laughed. But after a while {he} grew {sad}. [{He} wanted to go home|{He} missed the way it was before|This was not what {he} wanted].",
            '"[Stop|Help|Oh dear]!" cried {h}. But the wish did not stop.',
        ),
        (
            '{H} looked at the {t}. "Please, make everything as it was before," {he} said.',
            '{He} held the {t} tight. "I do not want this wish," {he} said. "I only want a friend."',
            '{He} rubbed the {t} three times. "I am sorry," said {h}. "Please take the wish back."',
        ),
        (
            "There was a flash of light. Everything was as before, and the {t} was only the {t} again.",
            "Puff! The wish was gone. The {t} lay still and dark.",
            "The {t} blinked once. Then the world was normal again.",
        ),
        (
            "{H} [put the {t} back {spot}|gave the {t} to the river|hid the {t} {spot}] and went home.",
            '"[No more wishes for me|I have all I need]," said {h}, and {he} laughed.',
            "{H} kept the {t}, but {he} never made a wish again.",
        ),
        (
            "That evening {he} ate {food} and was {happy} with what {he} had.",
            "And {h} was {happy}, just the way {he} was.",
            "Now {he} knew that the best things do not need magic.",
        ),
    ),
    (
        "{A_hero} had a magic {t} and made a wish. But the wish went wrong. {H} took it back and was {happy} with what {he} had.",
    ),
    ("Be careful what you wish for.", "Be happy with what you have."),
    (
        Question("What was magic?|What did {h} find?", "It was a magic {t}.", "{t}"),
        Question("Who made a wish?", "{H} made a wish.", "{h_key}"),
        Question("How did {h} feel at the end?", "{H} was {happy} at the end.", "{happy}"),
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

BAKING = Plot(
    "baking",
    ("telling the truth", "friendship"),
    False,
    (
        (
            "{H} wanted to make {food} for {his} friend, {a_friend}.",
            "It was {h_s} turn to cook. {His} friend, {a_friend}, was coming to eat {food}.",
        ),
        (
            "{He} got a big bowl and a spoon. But {he} did not read the book.",
            '"I do not need a book for that," {he} said, and put everything in one pot.',
        ),
        (
            "{He} took salt, and not sugar. Then {he} fell asleep, and the kitchen was full of smoke.",
            "{He} put in too much of this and too little of that. It came out as hard as a stone.",
            "The pot grew fuller and fuller. Soon it ran over the table and over the floor!",
        ),
        (
            "Knock, knock! {F} was at the door. {H} was {scared}. What should {he} say?",
            'Then {f} came in. "It smells a little strange," {fhe} said.',
        ),
        (
            'First {h} wanted to say that the [stove|spoon|wind] had done it. But then {he} said, "I did it all wrong. I am sorry."',
            '"It is very good," said {h}. But {his} face was red. "No," {he} said then, "it is terrible."',
        ),
        (
            "{F} took a bite and made a face. Then they both laughed and laughed.",
            '"It is the worst {food} I ever had," said {f}, "but I like that you made it for me."',
        ),
        (
            "Then they washed the pots and made it again, together. This time they read the book.",
            '"Come," said {f}. "I will show you how my mother does it."',
        ),
        (
            "The second time it was very good. They ate until they could not eat any more.",
            "And now {h} makes the best {food} {in_p}.",
            "{H} was {happy}. It is more fun to cook with a friend.",
        ),
    ),
    (
        "{A_hero} made {food} for {a_friend}, but it went all wrong. They laughed about it and made it again together.",
    ),
    ("It is not bad to make a mistake.", "It is best to say what is true."),
    (
        Question("What did {h} make?|What did {h} want to make?", "{H} made {food}.", "{food}"),
        Question("Who came to eat?|Who was at the door?", "{F} came to eat.", "{f_key}"),
        Question("Who cooked?", "{H} cooked.", "{h_key}"),
    ),
)

FULL_HOUSE = Plot(
    "full_house",
    ("sharing", "patience", "being kind"),
    False,
    (
        (
            '"My house is too small," said {h}. {He} had one room and one window.',
            "{H} lived in a very small house. {He} was not {happy} with it.",
        ),
        (
            '{He} went to {a_friend}, who was known to be wise. "What can I do?" asked {h}.',
            'One {weather} {time} {he} asked {a_friend} about it. "That is easy," said {f}.',
        ),
        (
            '"Take a [hen|goose|duck] into your house," said {f}. {H} did so. Now the house was even smaller!',
            '"Ask a [goat|sheep|pig] to live with you," said {f}. {H} did so. It ate the pillow.',
        ),
        (
            '"It is worse now," said {h}. "Good," said {f}. "Take in a [cow|horse|donkey], too."',
            '{H} came back. "I cannot even turn around!" {he} said. "Then take in ten of them," said {f}.',
        ),
        (
            "That night, {h} had to sleep on the table. There was noise and hay everywhere.",
            "Soon {h} could not sleep, or eat, or think.",
        ),
        (
            '"Help me!" said {h}. "Now send them all away," said {f}.',
            '{H} cried, "It cannot go on!" {F} smiled. "Then let them all out again."',
        ),
        (
            "{H} opened the door, and they all went out. {He} looked around. How big the house was!",
            "And when they were gone, {h} danced from wall to wall. There was so much room!",
        ),
        (
            '"Thank you, {f_name}," said {h}. "Now I have a big house." And {he} was {happy}.',
            "Since then, {h} never said that the house was too small.",
        ),
    ),
    (
        "{A_hero} thought that {his} house was too small. {A_friend} told {him} to take animals in, and then to send them away. Then the house seemed big.",
    ),
    ("Be happy with what you have.",),
    (
        Question("Who was wise?|Who did {h} ask?", "{H} asked {f}.", "{f_key}"),
        Question("What was too small?", "The house was too small.", "house"),
        Question("Who had a small house?", "{H} had a small house.", "{h_key}"),
    ),
)
