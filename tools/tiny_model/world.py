# ruff: noqa: E501, SIM905 (lists of words read best as words)
"""Vocabulary of the stories: characters, places, things, feelings."""

from __future__ import annotations

ANIMALS = (
    "fox owl frog rabbit mouse bear cat dog hen duck goat sheep cow horse pig wolf deer squirrel "
    "hedgehog badger otter beaver turtle snail bee ant butterfly ladybug spider crow robin sparrow "
    "goose swan penguin seal whale dolphin crab fish octopus lion tiger elephant monkey giraffe "
    "zebra camel parrot eagle bat mole lizard crocodile panda koala kangaroo donkey kitten puppy "
    "lamb chick hamster raccoon moose skunk peacock pigeon worm cricket moth firefly"
).split()
PEOPLE = {
    "girl": "she", "boy": "he", "king": "he", "queen": "she", "princess": "she", "prince": "he",
    "farmer": "", "baker": "", "sailor": "", "painter": "", "teacher": "", "doctor": "",
    "knight": "", "miller": "", "tailor": "", "gardener": "", "fisherman": "he", "shepherd": "",
    "grandmother": "she", "grandfather": "he", "wizard": "he", "witch": "she", "pirate": "",
    "clown": "", "child": "", "musician": "", "cook": "", "woman": "she", "man": "he",
    "hunter": "", "astronaut": "", "giant": "he",
}  # fmt: skip
FANTASY = (
    "dragon robot fairy elf dwarf unicorn mermaid troll ghost snowman scarecrow goblin monster "
    "dinosaur cloud star"
).split()
KINDS = (*ANIMALS, *PEOPLE, *FANTASY)

HE_NAMES = (
    "Tom Ben Max Sam Leo Jack Finn Oscar Pip Toby Otto Hugo Milo Felix Rufus Barnaby Oliver Henry "
    "Theo Gus Ned Jasper Bruno Bob Tim Charlie Ollie Archie Freddie Bobo Dash Moss Basil Ash "
    "Rocky Buster Chip Scout Hoot Bramble Pepper Nico Hans Ivan Omar Ravi Kofi Amir Jun Diego Luca "
    "Emil Arlo Walter Edgar Alfie George Peter Paul"
).split()
SHE_NAMES = (
    "Lily Mia Anna Lucy Ella Rosie Daisy Ruby Molly Poppy Hazel Ivy Nora Tilly Bella Clara Dot "
    "Emma Fern Grace Holly Jane Kate Luna Maya Nina Olive Penny Rose Sara Tess Willow Zoe Amy Betty "
    "Coco Ginger Honey Juno Kiki Lola Maple Nell Opal Pearl Suki Wren Yuki Amina Leila Priya Mei "
    "Sofia Greta Ida Elsa Marta Ada Flora Alice Sue"
).split()
NAMES = (*HE_NAMES, *SHE_NAMES)

SIZES = "little small tiny young old big tall round".split()
TRAITS = (
    "kind curious shy brave clever sleepy cheerful gentle quiet busy silly careful friendly proud "
    "lonely playful hungry polite stubborn dreamy"
).split()
LOOKS = (
    "red blue green yellow golden silver shiny old new little big small wooden round pretty bright "
    "strange tiny purple white black orange broken dusty lovely soft striped heavy magic special"
).split()

THINGS = (
    "lantern key ball hat kite drum bell book map coin ring lamp cup spoon box basket boat bucket "
    "blanket button candle clock crown doll feather flag flower flute hammer jar kettle ladder leaf "
    "letter mirror necklace net paintbrush pebble pencil pillow pot rope scarf seed shell shoe "
    "shovel stick stone sock sweater teapot telescope torch toy umbrella wagon wheel whistle wand "
    "watch vase violin trumpet guitar piano bicycle balloon bag boot bottle bowl broom brush card "
    "chair coat cookie cake pie apple pear plum carrot pumpkin strawberry potato turnip sandwich "
    "pancake nut acorn egg cheese cherry lemon melon muffin pizza jewel diamond pearl marble puzzle "
    "rocket train truck car bike sled skate glove mitten ribbon rug table tent treasure tree "
    "window door gate fence bridge raft camera phone computer radio machine statue painting picture "
    "song dream secret story wish nest sword shield helmet cape mask anchor compass sail star moon "
    "quilt needle thread button purse pipe fan rock snowball sunflower rose mushroom"
).split()
THINGS_ONLY = tuple(dict.fromkeys(t for t in THINGS if t not in KINDS))

# A place is named by a noun with its article and the preposition that goes with being there.
PLACES = (
    ("in", "the woods"), ("in", "the forest"), ("by", "the river"), ("by", "the lake"),
    ("by", "the sea"), ("by", "the pond"), ("on", "the hill"), ("on", "the mountain"),
    ("on", "the farm"), ("on", "the beach"), ("on", "the island"), ("in", "the village"),
    ("in", "the town"), ("in", "the city"), ("in", "the garden"), ("in", "the meadow"),
    ("in", "the field"), ("in", "the valley"), ("in", "the cave"), ("in", "the castle"),
    ("in", "the barn"), ("at", "the market"), ("at", "the school"), ("in", "the park"),
    ("in", "the desert"), ("in", "the jungle"), ("in", "the swamp"), ("at", "the mill"),
    ("in", "the orchard"), ("under", "the bridge"), ("near", "the waterfall"),
    ("at", "the harbor"), ("in", "the library"), ("in", "the kitchen"), ("on", "the road"),
    ("near", "the old tower"), ("in", "the snow"), ("by", "the stream"), ("near", "the lighthouse"),
    ("on", "the ship"), ("in", "the palace"), ("at", "the zoo"), ("on", "the moon"),
)  # fmt: skip

HOBBIES = (
    "to sing", "to dance", "to look at the stars", "to collect shiny stones", "to tell jokes",
    "to nap in the sun", "to help others", "to run fast", "to paint pictures", "to play outside",
    "to splash in puddles", "to climb high", "to read old books", "to bake", "to count clouds",
    "to listen to the rain", "to make new friends", "to eat berries", "to watch the birds",
    "to build things", "to ask questions", "to play in the leaves", "to walk in the rain",
    "to hum little songs", "to sleep late", "to explore", "to plant flowers", "to swim",
)  # fmt: skip

SPOTS = (
    "under a big leaf", "behind a rock", "inside a hollow log", "at the top of a tree",
    "at the bottom of a hole", "between two stones", "in the tall grass", "near the old well",
    "behind a door", "under a bench", "in a pile of leaves", "in a bush", "beside the path",
    "under a wooden cart", "inside an old boot", "in a puddle of mud", "on a low branch",
    "behind a stone wall", "under the steps", "in an empty basket", "next to a tall tree",
    "in a deep ditch", "under a mushroom", "behind a wheel", "in a nest",
)  # fmt: skip
SOUNDS = (
    "a soft bump", "a strange hum", "a loud crash", "a tiny squeak", "a long howl",
    "a slow tap, tap, tap", "a low growl", "a sad cry", "a funny whistle", "a quick rattle",
    "a quiet whisper", "a big splash", "a scratch at the door", "a deep rumble",
)  # fmt: skip
FOODS = (
    "warm bread", "hot soup", "honey cakes", "berry pie", "apple pie", "nut cookies", "sweet tea",
    "pancakes", "carrot stew", "cheese and bread", "roasted nuts", "fresh berries", "corn soup",
    "plum jam", "ginger biscuits", "hot chocolate", "mushroom soup", "fruit salad",
)  # fmt: skip
SAD = "sad worried unhappy upset lonely gloomy".split()
HAPPY = "happy glad happy cheerful joyful delighted".split()
SCARED = "scared afraid frightened nervous".split()
FEARS = (
    "the dark", "deep water", "thunder", "high places", "loud noises", "strangers", "the wind",
    "big shadows", "the cold night", "being alone",
)  # fmt: skip
JOBS = (
    "build a house", "bake a cake", "fly", "swim across the water", "paint the fence",
    "grow a garden", "make a kite", "learn to dance", "write a poem", "build a raft",
    "climb to the top of the hill", "sing in front of everyone", "cook soup", "fix the roof",
    "learn to read", "ride a bicycle", "make a snowman", "knit a scarf", "catch a star",
    "whistle a tune", "build a bridge", "play the drum", "make a big sandwich", "count to a hundred",
)  # fmt: skip
WEATHERS = "sunny cold windy rainy quiet warm bright cloudy foggy snowy".split()
TIMES = "morning afternoon evening day".split()
PLANTS = (
    "sunflower", "apple tree", "rose bush", "pumpkin", "bean plant", "oak tree", "cherry tree",
    "tulip", "carrot", "pear tree", "melon",
)  # fmt: skip
TOPICS = (
    "friendship", "sharing", "being brave", "being kind", "getting lost", "a race", "a storm",
    "a birthday", "a wish", "a strange noise", "telling the truth", "a new friend", "a gift",
    "a secret", "patience", "helping others",
)  # fmt: skip
# Words that may turn up in what people type but not in the stories.
OTHER_WORDS = (
    "the of and to in is was for on are with as at this that it from by not have be or had about "
    "people time year government company president world country number system history science "
    "music football news money weather today tomorrow yesterday computer internet language model "
    "python code function error file data energy physics math plus times equals question answer "
    "capital france london america china tokyo war law doctor health movie actor game player team "
    "price market email phone how why when what which who where can could should would will do does "
    "did must explain write list compare translate summarize define describe between during because "
    "however although scientists discovered unicorns speak perfect english large small first last "
    "best worst hundred thousand million percent research university student professor"
).split()

ONSETS = "b bl br ch d dr f fl fr g gl gr h j k kl l m n p pl pr qu r s sh sk sl sn sp st t tr v w z".split()
VOWELS = "a e i o u oo ee ai o a".split()
CODAS = "b ck d ff g k l m n nk p rt rn sh st t x zz ble mble dle le bo by mo".split()
