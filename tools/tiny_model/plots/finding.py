# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots about what is lost, found, taken or dreamed of."""

from __future__ import annotations

from .plot import Plot, Question

LOST = Plot(
    "lost",
    ("helping others", "friendship"),
    True,
    (
        (
            "{H} had {a_t}. {He} [took it everywhere|loved it more than anything|kept it close all day and all night].",
            "{His} [favorite thing|best thing|greatest treasure] was {a_t}. [{He} never went out without it.|{He} looked at it every day.|]",
            "{H} owned {a_t}, [a gift from {his} mother|a gift from {his} grandfather|the only one for miles around].",
        ),
        (
            "But one {weather} {time}, the {t} was gone!",
            "One {weather} {time} {in_p}, {h} looked for the {t}, but it was not there.",
            "Then one {time}, [after a long walk|after a nap|after a game] {in_p}, {he} saw that the {t} was missing.",
            "One {time} {he} was playing {in_p}, and when {he} stopped, the {t} was lost.",
        ),
        (
            '"Oh no!" [cried|said] {h}. "Where is my {t}?"',
            "{H} [looked here and there|looked high and low|searched all {time}], but {he} could not find it. {He} felt very {sad}.",
            "{He} [began to cry|sat down and cried|was very {sad}]. [Who could have taken it?|Where could it be?|How could this happen?]",
            '"I had it [this morning|yesterday|a moment ago]," {he} said. {He} was so {sad} that {he} could not eat.',
        ),
        (
            'Then {a_friend} came by. "[Why are you so {sad}|What is wrong|Why do you cry]?" asked {f}. "I lost my {t}," said {h}.',
            '{A_friend} heard {him} and came over. "What did you lose?" {fhe} asked. "My {t}," said {h} [in a small voice|sadly|with a sigh].',
            'Just then {he} met {a_friend}. "Can you help me? I lost my {t}," said {h}. "Of course," said {f}.',
        ),
        (
            '"[Do not worry|Dry your tears|Do not cry]. [We will find it together|I will help you look|Two can look better than one]," said {f}.',
            '"Let us [look|search] together," said {f}. "[I have good eyes|I know this place well|We will not stop until we find it]."',
            '"[When did you see it last|Where were you before]?" asked {f}. {H} thought [hard|for a while]. "I sat down {in_p} and ate {food}," {he} said.',
        ),
        (
            "They looked and looked. At last {f} [saw|found] the {t} {spot}.",
            "They went back the way {h} had come, step by step. And there, {spot}, was the {t}!",
            "{F} looked up and down. Then {fhe} [laughed|jumped|called out]. The {t} was {spot}!",
            'Together they searched {in_p}. Soon {f} shouted, "Here it is!" The {t} was {spot}.',
        ),
        (
            '"[Thank you|Thank you so much|Oh, thank you], {f}!" said {h}. {He} [hugged {fhim}|held the {t} tight|danced around].',
            "{H} was so {happy} that {he} [gave {f} a big hug|sang a song|shared {food} with {f}].",
            '"You found it!" cried {h}. "You are a true friend."',
        ),
        (
            "From that day on, {h} and {f} were [good|best|the best of] friends.",
            "And from then on, {h} took better care of the {t}.",
            "That night {h} went to sleep with the {t} by {his} side.",
            "They walked home together, and {h} never lost the {t} again.",
        ),
    ),
    (
        "{A_hero} lost {his} {t}. {A_friend} helped {him} look for it. They found it {spot}, and {h} was {happy} again.",
    ),
    ("A friend can help you find what you lost.", "It is easier to look for something together."),
    (
        Question("What did {h} lose?", "{H} lost {his} {t}.", "{t}"),
        Question("Who found the {t}?", "{F} found the {t}.", "{f_key}"),
        Question(
            "Where was the {t}?|Where did they find the {t}?", "The {t} was {spot}.", "{spot}"
        ),
        Question("Why was {h} {sad}?", "{H} was {sad} because {he} had lost {his} {t}.", "{t}"),
        Question("Who helped {h}?", "{F} helped {h}.", "{f_key}"),
    ),
)

FOUND = Plot(
    "found",
    ("telling the truth", "being kind", "a new friend"),
    True,
    (
        (
            "One {weather} {time}, {h} went for a walk {in_p}. There, {spot}, {he} saw {a_t}.",
            "One {time} {h} was walking {in_p} when {he} found {a_t} {spot}.",
            "On a {weather} {time}, while {he} was {in_p}, {h} saw something {spot}. It was {a_t}!",
        ),
        (
            '"[How pretty|What a fine {t}|Oh, look at this]!" {he} said. "[Whose is it|Who does it belong to|Who left it here]?"',
            "{He} picked it up and [turned it around|looked at it|held it to the light]. [It was lovely.|It must belong to someone, {he} thought.]",
            '{H} wanted to keep it. But then {he} thought, "[Someone must miss it|It is not mine|Maybe someone is looking for it]."',
        ),
        (
            "So {he} took the {t} and went to find the owner.",
            '{He} asked everyone {in_p}. "Is this your {t}?" {he} asked. But they all said no.',
            '{He} walked up the road and down the road. "Did you lose a {t}?" {he} asked [everyone|all who came by].',
        ),
        (
            'After a while {he} met {a_friend}. {F} was crying. "I lost my {t}," {fhe} said.',
            'Then {he} saw {a_friend}, who looked very {sad}. "I have lost my {t}," said {f}. "[It was a gift|I cannot sleep without it|I need it]!"',
            "Near a small house sat {a_friend}. {Fhe} was {sad}, because {fhis} {t} was gone.",
        ),
        (
            '"Is this it?" asked {h}. "Yes! [That is my {t}|That is it|You found it]!" [cried|said] {f}.',
            '{H} held out the {t}. {F} [jumped for joy|could not believe it|smiled from ear to ear]. "My {t}!" {fhe} cried.',
            '{H} could have [kept quiet|gone home with it|said nothing]. But {he} gave the {t} back. "Thank you!" said {f}.',
        ),
        (
            "To say thank you, {f} gave {h} some {food}.",
            '"You are so [kind|good|honest]," said {f}. "Come and eat {food} with me."',
            '"[Most people|Others] would keep it," said {f}. "You did not. Will you be my friend?" "Yes," said {h}.',
        ),
        (
            "They sat together and ate until the stars came out. {H} was {happy}.",
            "{H} felt {happy} and warm inside. It was better than any {t}.",
            "And so {h} went home without the {t}, but with a new friend.",
            "After that day, the two friends met {in_p} every week.",
        ),
    ),
    (
        "{A_hero} found {a_t} {spot}. It belonged to {a_friend}, who was {sad}. {H} gave it back, and they became friends.",
    ),
    ("It is good to give back what is not yours.", "Being honest can bring you a friend."),
    (
        Question("What did {h} find?", "{H} found {a_t}.", "{t}"),
        Question(
            "Where did {h} find the {t}?|Where was the {t}?", "{H} found the {t} {spot}.", "{spot}"
        ),
        Question("Whose {t} was it?|Who lost the {t}?", "It was {f_s} {t}.", "{f_key}"),
        Question("What did {h} do with the {t}?", "{H} gave the {t} back to {f}.", "{f_key}"),
    ),
)

THIEF = Plot(
    "thief",
    ("being kind", "a secret", "helping others"),
    True,
    (
        (
            "Every {time}, {h} looked at {his} {t_look}. But one {weather} {time} it was gone!",
            "{H} kept {a_t} {spot}. One {time} {he} went to look, and it was not there.",
            "One {weather} {time}, somebody took {h_s} {t}. It was {a_t}, and {he} had only one.",
        ),
        (
            '"A thief!" cried {h}. "[Who took my {t}|Someone has taken my {t}]?"',
            "There were small tracks on the ground. {H} followed them [step by step|all the way to {p}].",
            '{H} was angry. "I will catch the thief," {he} said.',
        ),
        (
            "The tracks went {to_p}. There {he} saw {a_friend} with the {t}.",
            "{He} went to {p} and hid. Soon {a_friend} came out, and {fhe} had the {t}!",
            "{He} looked all over. At last {he} found {a_friend} {in_p}. Next to {fhim} lay the {t}.",
        ),
        (
            '"That is my {t}!" said {h}. {F} [began to cry|looked at the ground|turned red]. "I am sorry," {fhe} said. "[I was so lonely|I was cold and alone|I only wanted to look at it]."',
            '"Why did you take it?" asked {h}. "[I never had a {t}|I have no toys and no friends|I wanted to show it to my mother]," said {f} [sadly|in a small voice].',
        ),
        (
            "{H} was not angry anymore. [{He} sat down next to {f}.|{He} felt sorry for {fhim}.]",
            '{H} thought about it. "You should have asked," {he} said. "But I know how it is to be {sad}."',
        ),
        (
            '"[You can visit me|Come to my house], and we can both use the {t}," said {h}.',
            '"Give it back," said {h}, "and then come home with me. We have {food}."',
            "{F} gave the {t} back. And {h} asked {fhim} to stay for {food}.",
        ),
        (
            "{F} never took anything again. {Fhe} did not need to, because now {fhe} had a friend.",
            "That is how {h} lost a {t} and found a friend.",
            "And so the thief and {h} became friends, and both were {happy}.",
        ),
    ),
    (
        "{A_friend} took {h_s} {t}. {H} found {fhim} {in_p}. {F} was sorry and gave it back, and they became friends.",
    ),
    ("Ask before you take something.", "A kind word can turn a thief into a friend."),
    (
        Question("What was taken?|What did the thief take?", "The thief took {h_s} {t}.", "{t}"),
        Question("Who took the {t}?|Who was the thief?", "{F} took the {t}.", "{f_key}"),
        Question("Where did {h} find the thief?", "{H} found the thief {in_p}.", "{in_p}"),
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
