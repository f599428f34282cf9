# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots about meeting somebody."""

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
