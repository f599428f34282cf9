# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots of small days: a letter, a cake, a sleepless night, a narrow bridge, being small, a full house, winter."""

from __future__ import annotations

from .plot import Plot, Question

LETTER = Plot(
    "letter",
    ("a secret", "friendship", "a new friend"),
    True,
    (
        (
            'One {weather} {time}, {h} found a letter under the door. "Come {to_p}," it said. There was no name on it.',
            'One {time}, the wind blew a letter into {h_s} house. "I wait for you {in_p}," it said.',
        ),
        (
            '"[Who wrote this|Who can it be from|What does it mean]?" said {h}. {He} turned it around, but it was empty.',
            "{H} read it three times. [{His} heart beat fast.|{He} was very curious.]",
        ),
        (
            "{He} put on {his} best scarf and went {to_p}.",
            "So {h} closed the door and went {to_p}. On the way {he} thought of everyone {he} knew.",
        ),
        (
            "But nobody was there. There was only {a_t} {spot}.",
            "There {he} saw {a_t} {spot}, and nothing else.",
        ),
        (
            '{H} picked up the {t}. "Is anyone there?" {he} called.',
            '{H} looked at the {t}. On it was a small piece of paper. "Turn around," it said.',
        ),
        (
            'Then {a_friend} came out from behind a tree. "Do you like it? The {t} is for you," said {f}.',
            '"Surprise!" It was {a_friend}. "I wrote the letter," said {f}, "and I made the {t} for you."',
        ),
        (
            '"For me? Why?" asked {h}. "Because you are always kind to me," said {f}.',
            '"But it is not my birthday," said {h}. "I know," said {f}. "It is just a {weather} {time}, and you are my friend."',
        ),
        (
            "{H} was so {happy} that {he} could not speak.",
            "They sat down {in_p} and ate {food}. The {t} stood between them.",
            "The next day, {f} found a letter under {fhis} door, too.",
        ),
    ),
    (
        "{A_hero} got a letter without a name and went {to_p}. There {he} found {a_t}. It was a surprise from {a_friend}.",
    ),
    ("A small surprise can make a day.",),
    (
        Question(
            "Who wrote the letter?|Who was the letter from?", "{F} wrote the letter.", "{f_key}"
        ),
        Question("What did {h} find?|What was the surprise?", "{H} found {a_t}.", "{t}"),
        Question("Where did {h} go?", "{H} went {to_p}.", "{p}"),
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

SLEEPLESS = Plot(
    "sleepless",
    ("patience", "friendship", "being kind"),
    False,
    (
        (
            "One night, {h} could not sleep. {He} turned left, and {he} turned right.",
            "It was the middle of the night, and {h} was wide awake.",
        ),
        (
            "{He} counted clouds, but the clouds floated away. {He} drank some milk, but it did not help.",
            "The moon was too bright. The bed was too soft. The clock was too loud.",
        ),
        (
            "So {h} got up and went {to_p}. Everything was dark and still.",
            '"I will take a walk," {he} said. {He} went out {to_p}.',
        ),
        (
            'There sat {a_friend}. "Can you not sleep?" asked {f}. "No," said {h}. "Me neither," said {f}.',
            '{A_friend} was there, too, {spot}. "I thought I was the only one," said {f}.',
        ),
        (
            '"What do you think of when you cannot sleep?" asked {h}. "I think of {food}," said {f}.',
            "They sat side by side and looked at the stars. {F} knew all their names.",
        ),
        (
            '"I will tell you a story," said {f}. "Once upon a time, there was someone who could not sleep."',
            "Then {f} sang a song, very softly. It was about the rain and the sea.",
        ),
        (
            "{H} wanted to hear the end. But {his} eyes grew heavy, and heavier, and then they closed.",
            "Before it was over, {h} was asleep. {F} smiled and yawned.",
        ),
        (
            "When the sun came up, they were both asleep {in_p}.",
            "{F} put a blanket over {him}, and then {fhe} fell asleep, too.",
            "And from then on, {h} was {happy} when {he} could not sleep.",
        ),
    ),
    (
        "{A_hero} could not sleep and went {to_p}. There {he} met {a_friend}, who could not sleep, too. Together they fell asleep.",
    ),
    ("A night is not so long with a friend.",),
    (
        Question("Who could not sleep?", "{H} could not sleep.", "{h_key}"),
        Question("Who did {h} meet?|Who was there, too?", "{H} met {f}.", "{f_key}"),
        Question("Where did {h} go?", "{H} went {to_p}.", "{p}"),
    ),
)

NARROW = Plot(
    "narrow",
    ("being kind", "patience", "a new friend"),
    False,
    (
        (
            "There was a narrow bridge near {p}. Only one could cross it at a time.",
            "The way {to_p} went over a narrow bridge. It was so small that nobody could pass.",
        ),
        (
            "One {weather} {time}, {h} walked onto it. From the other side came {a_friend}. They met in the middle.",
            "{H} was in the middle of it when {a_friend} came from the other side.",
        ),
        (
            '"Go back!" said {h}. "I was here first." "No, you go back!" said {f}. "I am in a hurry."',
            '"Let me pass," said {h}. "You let me pass," said {f}. Nobody moved.',
        ),
        (
            "They stood there all {time}. The sun went down, and it began to rain.",
            "They looked at each other with angry eyes. One hour went by, and then another.",
        ),
        (
            "The water below them rose higher and higher. The bridge began to shake!",
            "Then the bridge made a terrible sound. Crack! It was about to break.",
        ),
        (
            '"Lie down," {h} cried. "Then you can climb over me!" And {he} lay down flat.',
            '"If we fight, we will both fall in," said {h}. "Climb over me, quickly!"',
        ),
        (
            "{F} climbed over {him}, as light as a feather. Then both of them ran, and the bridge fell down.",
            "{F} did it, step by step. Then they ran to the two sides, and the bridge broke behind them.",
        ),
        (
            '"Thank you!" called {f} from the other side. "Next time, I will lie down!"',
            "The next day they built a new bridge together, and it was wide enough for two.",
            "{H} laughed. {He} was wet, but {happy}.",
        ),
    ),
    (
        "{A_hero} and {a_friend} met on a narrow bridge, and nobody wanted to go back. When the bridge began to break, {h} let {f} climb over {him}.",
    ),
    ("Someone has to give way first.", "If you both push, you both fall."),
    (
        Question("Where did they meet?", "They met on a narrow bridge.", "bridge"),
        Question("Who did {h} meet?", "{H} met {f}.", "{f_key}"),
        Question("Who lay down?", "{H} lay down.", "{h_key}"),
        Question("What broke?", "The bridge broke.", "bridge"),
    ),
)

SMALL = Plot(
    "small",
    ("being brave", "helping others", "friendship"),
    True,
    (
        (
            "{H} was the smallest of all {in_p}. [{He} could not reach anything.|Everyone called {him} a crumb.]",
            "All the others {in_p} were taller than {h}. {He} was {sad} about it.",
        ),
        (
            '"I wish I was big," {he} said every {time}.',
            'When the others played, they said, "You are too little." So {he} sat down {spot}.',
        ),
        (
            "One {weather} {time}, there was trouble. {A_friend} had dropped {a_t} into a deep, narrow hole.",
            'Then one {time}, {a_friend} came running. "My {t} fell down between the rocks!" cried {f}.',
        ),
        (
            "Everyone came to help. But the hole was too narrow for them.",
            "The strong ones pulled and the tall ones reached. Nobody could get the {t}.",
        ),
        (
            '"I can try," said {h}. They all laughed. But {f} did not laugh.',
            '"Let me through!" said a small voice. It was {h}.',
        ),
        (
            "{H} took a deep breath and went in, deeper and deeper. It was dark. Then {he} felt the {t}!",
            '{He} made {himself} thin and went down on a rope. Soon {he} called, "I have the {t}!"',
        ),
        (
            '{F} was so {happy} to have the {t} back. "Nobody else could do that," {fhe} said.',
            '"How good that you are small!" said {f}, and {fhe} hugged {him}.',
        ),
        (
            "And after that, {h} did not wish to be big anymore.",
            "From that day on, {he} was called {h_name} the Great.",
            "Now, when something is lost {in_p}, everyone calls for {h}.",
        ),
    ),
    (
        "{A_hero} was {sad} to be so small. Then {a_friend} lost {a_t} in a narrow hole. Only {h} could get it out.",
    ),
    ("You are just the right size.", "Small ones can do great things."),
    (
        Question(
            "What fell into the hole?|What did {h} get out?", "The {t} fell into the hole.", "{t}"
        ),
        Question("Whose {t} was it?|Who lost the {t}?", "It was {f_s} {t}.", "{f_key}"),
        Question(
            "Who was small?|Who got the {t} out?",
            "{H} was small, but {he} got the {t} out.",
            "{h_key}",
        ),
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

WINTER = Plot(
    "winter",
    ("sharing", "helping others", "patience"),
    True,
    (
        (
            "It was autumn {in_p}. Everyone was getting ready for the winter.",
            "The leaves fell {in_p}, and the days grew short. Winter was near.",
        ),
        (
            "{H} worked every {time}. {He} brought home {food}, wood, and {a_t}.",
            "{H} filled {his} house with wood and {food}. {He} even made {a_t}.",
        ),
        (
            'But {his} friend, {a_friend}, only played. "There is so much time," said {f}.',
            '{A_friend} sat in the sun and sang. "Why do you work so hard?" asked {f}.',
        ),
        (
            "Then the snow came. It snowed for [three|five|seven] days. {F} had no wood and no food.",
            "One {weather} night, it grew so cold that the water turned to ice. {F} sat {spot} and shook.",
        ),
        (
            '{F} went to {h_s} door. {Fhe} was {scared} to knock. "I was silly," {fhe} said.',
            "{H} looked out of the window and saw {fhim} in the snow. {He} opened the door at once.",
        ),
        (
            '"Come in," said {h}. "But you must help me." "I will," said {f}.',
            '"You sang for me all summer," said {h}. "Now I will warm you all winter."',
        ),
        (
            "{F} cooked, and {h} kept the fire. In the evening {f} sang, and they played with the {t}.",
            "With the {t}, the songs and {food}, the winter was not long at all.",
        ),
        (
            "In the spring, they both went out to work, and they both sang.",
            "And when the next autumn came, {f} was the first to carry wood.",
            "They were {happy}, and outside the snow fell softly.",
        ),
    ),
    (
        "{A_hero} worked for the winter, but {a_friend} only played. When the snow came, {h} let {f} in, and they shared everything.",
    ),
    ("It is good to think of tomorrow.", "Work and play go well together."),
    (
        Question(
            "Who only played?|Who was cold?|Who had no wood?",
            "{F} only played and had no wood.",
            "{f_key}",
        ),
        Question("Who worked hard?|Who let {f} in?", "{H} worked hard and let {f} in.", "{h_key}"),
        Question("What did they play with?", "They played with the {t}.", "{t}"),
    ),
)

DAY_PLOTS = (LETTER, BAKING, SLEEPLESS, NARROW, SMALL, FULL_HOUSE, WINTER)
