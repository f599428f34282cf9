# ruff: noqa: E501 (a sentence is easier to read on one line)
"""Plots about fear and help."""

from __future__ import annotations

from .plot import Plot, Question

BRAVE = Plot(
    "brave",
    ("being brave", "friendship", "helping others"),
    False,
    (
        (
            "{H} was afraid of {fear}. [Nobody knew it.|All the others laughed at {him}.|It had always been so.]",
            "There was only one thing that {h} did not like: {fear}.",
            "{H} liked many things, but {he} was {scared} of {fear}.",
        ),
        (
            "One {weather} {time}, {he} heard a cry for help. It came from {p}. {A_friend} was stuck {spot}!",
            'One {time}, {a_friend} fell and could not get up. "Help!" {f} called from {p}.',
            "One {weather} {time}, {his} friend, {a_friend}, did not come home. {Fhe} was all alone {in_p}.",
        ),
        (
            'To get there, {h} had to face {fear}. {His} legs shook. "[I cannot do it|It is too much for me|I am too small]," {he} said.',
            "{H} stood still. {He} thought of {fear}, and {his} heart went boom, boom, boom.",
            '"But what about {fear}?" {he} thought. {He} was so {scared} that {he} could not move.',
        ),
        (
            'Then {he} thought of {f}. "[If I do not go, who will|A friend needs me|I have to try]," {he} said. And {he} took one step, and then another.',
            '"One step at a time," {h} told {himself}. {He} closed {his} eyes, took a deep breath, and went on.',
            "But {f} was more important. {H} sang a little song to be brave and started to walk.",
        ),
        (
            "At last {he} was there. {He} [pulled|helped|lifted] {f} out, and they held each other tight.",
            'There was {f}, {spot}. "You came!" {fhe} cried. {H} helped {fhim} up.',
            "{H} found {f} and took {fhim} by the hand. Together they went home, step by step.",
        ),
        (
            '"You are so brave," said {f}. "I was {scared} all the time," said {h}. "That is what brave means," said {f}.',
            '"Were you not afraid?" asked {f}. "I was," said {h}, "but I came all the same."',
            '"Thank you, {h_name}," said {f}. "You are the bravest {hk} I know."',
        ),
        (
            "After that, {fear} did not seem so bad anymore.",
            "That night {h} was {happy} and proud. And {he} was not so afraid of {fear} now.",
            "And if {he} was ever {scared} again, {he} thought of that day and smiled.",
        ),
    ),
    (
        "{A_hero} was afraid of {fear}. But {a_friend} needed help, so {h} was brave and saved {fhim}.",
    ),
    ("To be brave is to be afraid and to go on.", "You are braver than you think."),
    (
        Question("What was {h} afraid of?", "{H} was afraid of {fear}.", "{fear}"),
        Question(
            "Who did {h} help?|Who did {h} save?|Who needed help?", "{H} helped {f}.", "{f_key}"
        ),
        Question("Where was {f}?", "{F} was {in_p}.", "{in_p}"),
    ),
)

LOST_WAY = Plot(
    "lost_way",
    ("getting lost", "helping others", "a new friend"),
    False,
    (
        (
            "One {weather} {time}, {h} went to play {in_p}. {He} followed a butterfly, and then a bird, and then a leaf in the wind.",
            "One {time} {h} walked far, far away from home. {He} wanted to see {p2}.",
            '"Do not go too far," said {his} mother. But {h} ran on and on, {to_p} and beyond.',
        ),
        (
            "When {he} looked up, {he} did not know where {he} was. Everything looked strange.",
            "Then it grew dark. {H} looked left and right. Which way was home?",
            "Soon the sun went down, and the path was gone. {H} was lost.",
        ),
        (
            '"I want to go home," said {h}. {He} was {scared} and {sad}.',
            "{H} sat down {spot} and began to cry.",
            '"Hello? Is anybody there?" {he} called. Nobody answered. There was only the wind.',
        ),
        (
            'Then {he} heard a voice. "Are you lost?" It was {a_friend}. "Yes," said {h}. "I cannot find my way home."',
            'A small light came near. It was {a_friend}. "What are you doing here so late?" asked {f}.',
            'Suddenly {a_friend} stood in front of {him}. "Do not be afraid," said {f}. "I know the way."',
        ),
        (
            '"Come with me," said {f}. "[We will follow the stars|We will follow the water|I know every tree here]." And they walked side by side.',
            "{F} gave {him} some {food}. Then {fhe} took {him} by the hand and showed {him} the way.",
            '"What can you see from your house?" asked {f}. "{P2}," said {h}. "Ah, then I know where it is!" said {f}.',
        ),
        (
            "They went over a hill and across a field. And there was the light of {h_s} house!",
            'At last {h} saw smoke and a little window. "That is my house!" {he} cried.',
            "After a long walk they came to a door that {h} knew well. {He} was home!",
        ),
        (
            '{His} mother hugged {him}. "Thank you, {f_name}," she said. "Stay and eat with us."',
            '"Thank you, {f_name}," said {h}. "Will you come again tomorrow?" "I will," said {f}.',
            "{H} was {happy} to be home. And {he} had a new friend, too.",
        ),
        (
            "And {h} never went so far alone again.",
            "That night {he} slept in {his} own warm bed.",
            "From then on they often walked together, but never too far.",
        ),
    ),
    (
        "{A_hero} got lost {in_p}. {A_friend} found {him} and showed {him} the way home. {H} was {happy} to be home.",
    ),
    ("Do not go too far alone.", "There is always someone who can show you the way."),
    (
        Question(
            "Who helped {h}?|Who found {h}?|Who showed {h} the way?",
            "{F} showed {h} the way home.",
            "{f_key}",
        ),
        Question("Who got lost?", "{H} got lost.", "{h_key}"),
        Question("Where did {h} want to go?", "{H} wanted to go home.", "home"),
    ),
)

NOISE = Plot(
    "noise",
    ("a strange noise", "being brave", "a new friend"),
    False,
    (
        (
            "One {weather} night, {h} heard {sound}. [{He} sat up in bed.|{He} opened {his} eyes.]",
            "It was late, and {h} was in bed. Then {he} heard {sound}.",
            "{H} was almost asleep when {he} heard something. It was {sound}.",
        ),
        (
            '"What was that?" {he} said. "[A monster|A ghost|A giant]?" {He} pulled up the blanket.',
            "{He} was {scared}. {He} hid under the blanket. But there it was again!",
            "{He} listened. It came from {p}. {His} heart began to beat fast.",
        ),
        (
            '"I have to know what it is," {h} thought. {He} took a light and went out.',
            "Slowly, slowly, {h} opened the door. {He} went out on the tips of {his} toes.",
            "{H} was {scared}, but {he} was even more curious. So {he} put on {his} boots and went {to_p}.",
        ),
        (
            "The noise came from {spot}. {H} went closer and closer and looked.",
            "There it was again, {spot}! {H} held {his} breath.",
            '"Who is there?" {he} called. Something moved {spot}.',
        ),
        (
            'It was only {a_friend}! "I am sorry," said {f}. "[I am cold|I am hungry|I cannot sleep|I was looking for food]."',
            'And there sat {a_friend}. "Please do not be angry," said {f}. "[I hurt my foot|I cannot find my way|I have no bed]."',
            '{H} laughed. It was no monster at all. It was {a_friend}, who was stuck. "Can you help me out?" asked {f}.',
        ),
        (
            '"You gave me a fright," said {h}. "Come in, I have {food}."',
            '{H} was not afraid anymore. "Come home with me," {he} said. "It is warm there."',
            "{H} helped {fhim}. Then they went inside and ate {food}.",
        ),
        (
            "After that they both slept well, and there was no noise until morning.",
            '"Good night, {f_name}," said {h}. "Good night," said {f}. And all was quiet.',
            "From then on, when {h} heard {sound}, {he} knew that a friend had come.",
            "And in the morning they were friends.",
        ),
    ),
    (
        "At night, {a_hero} heard {sound}. {He} was {scared}, but {he} went to look. It was only {a_friend}, and they became friends.",
    ),
    ("Things are often less scary when you look at them.",),
    (
        Question("What did {h} hear?", "{H} heard {sound}.", "{sound}"),
        Question("Who made the noise?|What was the noise?", "It was {f}.", "{f_key}"),
        Question(
            "Where was {f}?|Where did the noise come from?",
            "The noise came from {f}, {spot}.",
            "{f_key}",
        ),
    ),
)

RESCUE = Plot(
    "rescue",
    ("helping others", "being brave", "friendship"),
    True,
    (
        (
            "One {weather} {time}, {h} was {in_p} with {a_t} in {his} bag.",
            '{H} always had {a_t} with {him}. "What do you need it for?" the others asked. "You never know," {he} said.',
            "One {time} {h} was on {his} way {to_p}. {He} carried {a_t}.",
        ),
        (
            'Suddenly someone called, "Help! Help!" It was {a_friend}, who had fallen into a deep hole.',
            "There {he} saw {a_friend} in the water. {F} could not swim!",
            "Then {he} heard a cry. {A_friend} was stuck {spot} and could not get out.",
        ),
        (
            '"Hold on!" cried {h}. "I will help you!" But {he} could not reach {fhim}.',
            "{H} reached out {his} hand. It was too far. {F} was {scared}.",
            '"I am coming, {f_name}!" {h} shouted. {He} pulled and pulled, but it did not help.',
        ),
        (
            'Then {h} had an idea. "The {t}!" {he} said. {He} held it out to {f}.',
            "{H} thought quickly. {He} took the {t} out and used it to reach {f}.",
            '"What can I do?" thought {h}. {He} looked at {his} {t}. Yes, that was it!',
        ),
        (
            "{F} held on to the {t}, and {h} pulled with all {his} might. One, two, three!",
            "It was hard, but with the {t} it worked. Little by little, {f} came up.",
            '"Take the {t}!" {he} called. {F} took it, and {h} pulled {fhim} out.',
        ),
        (
            '"You saved me!" said {f}. "[You and your {t}|Thank you, {h_name}]!"',
            "{F} was wet and cold, but safe. {H} gave {fhim} some {food}.",
            'They fell into the grass and laughed. "That was close," said {f}.',
        ),
        (
            "From that day on, nobody laughed about the {t} anymore.",
            "And {f} told everyone how {h} had saved {fhim} with a {t}.",
            "They were both {happy}, and they stayed friends for ever.",
        ),
    ),
    (
        "{A_friend} was in trouble {in_p}. {A_hero} helped {fhim} with {a_t}. {F} was safe and thanked {h}.",
    ),
    ("It is good to help when someone calls.",),
    (
        Question("What did {h} use?|How did {h} help {f}?", "{H} used {his} {t}.", "{t}"),
        Question("Who was in trouble?|Who did {h} save?", "{H} saved {f}.", "{f_key}"),
        Question("Who saved {f}?", "{H} saved {f}.", "{h_key}"),
    ),
)

STORM = Plot(
    "storm",
    ("a storm", "helping others", "friendship"),
    False,
    (
        (
            "One {time}, the sky turned dark. A big storm came over {p}.",
            "The wind began to blow {in_p}. [First softly, then hard.|Dark clouds came.] A storm was near.",
            "It was a hot {time}. Then there was thunder. A storm was coming to {p}!",
        ),
        (
            "{H} ran home and shut the door. The rain beat on the roof.",
            "{H} was safe at home. {He} listened to the wind and the rain.",
            "{H} closed the window and lit a candle. Outside, the trees bent in the wind.",
        ),
        (
            'Then there was a knock. It was {a_friend}. "[The wind took my house|My house is gone|My roof flew away]!" said {f}.',
            'Knock, knock! At the door stood {a_friend}, wet and cold. "May I come in?" asked {f}. "My house has fallen down."',
            "From the window, {h} saw {a_friend} out in the rain. {F} had no house anymore.",
        ),
        (
            '"Come in, come in!" said {h}. {He} gave {fhim} a blanket and some {food}.',
            '{H} pulled {fhim} inside and made a fire. "You can stay here," {he} said.',
            '"You can sleep in my bed tonight," said {h}. "I will sleep on the floor."',
        ),
        (
            '"But where will I live now?" asked {f}. {Fhe} was {sad}.',
            "All night the storm went on. {F} was {sad} and could not sleep.",
            '"I have lost everything," said {f}. "You have me," said {h}.',
        ),
        (
            'The next morning the sun was out. {H} called all the neighbors. "Let us build a new house for {f_name}!" {he} said.',
            'In the morning the storm was over. "Come," said {h}. "We will build your house again."',
        ),
        (
            "They cut wood and carried stones. By the evening, there was a new house next to {h_s}.",
            "Everyone helped. One brought wood, one brought nails, and one brought {food}.",
            "They worked for three days. The new house was even better than the old one.",
        ),
        (
            "Now {f} and {h} were neighbors, and no storm could make them {scared}.",
            "{F} was so {happy} that {fhe} danced in front of the new door.",
            "And when the next storm came, they sat together by the fire and laughed.",
        ),
    ),
    (
        "A storm broke the house of {a_friend}. {A_hero} let {fhim} in and helped to build a new house. {F} was {happy}.",
    ),
    ("In a storm, a friend is the best house.", "Together we can build anything."),
    (
        Question(
            "Who lost a house?|Who was at the door?|Who had no house?",
            "{F} lost {fhis} house.",
            "{f_key}",
        ),
        Question("Who helped {f}?", "{H} helped {f}.", "{h_key}"),
        Question(
            "What happened to the house?", "The storm broke it, but they built a new one.", "storm"
        ),
        Question("What did they build?", "They built a new house.", "house"),
    ),
)
