# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots that turn on a thing: lost, found, broken, shared, given, stolen, magic."""

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
            "There was a flash of light. Everything was as before, and the {t} was just a {t}.",
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

THING_PLOTS = (LOST, FOUND, SHARING, BROKEN, GIFT, MAGIC, TRADE, THIEF)
