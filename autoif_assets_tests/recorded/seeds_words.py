# ruff: noqa: E501  (a text per line reads best)
"""References of the seeds on length, keywords, letters and casing."""

import re
from collections.abc import Callable

from autoif_assets_tests.recorded.readings import (
    Check,
    Reference,
    Verdict,
    agreed,
    paragraphs,
    prose,
    sentence_lists,
    word_counts,
    word_lists,
    words,
)


def _words(condition: Callable[[list[str]], bool]) -> Check:
    return lambda text: agreed(map(condition, word_lists(text)))


def _sentences(condition: Callable[[list[str]], bool]) -> Check:
    return lambda text: agreed(condition(found) for found in sentence_lists(text))


def _has_word(word: str, condition: Callable[[int], bool]) -> Check:
    return lambda text: agreed(map(condition, word_counts(text, word)))


def _lacks(*unwanted: str) -> Check:
    # A word with an ending is another word; in a compound it may be the same one.
    return lambda text: agreed(
        not any(word_counts(text, word)[reading] for word in unwanted) for reading in (0, 1)
    )


def _short_sentences(text: str) -> Verdict:
    return agreed(
        all(len(word_lists(sentence)[reading]) < 15 for sentence in sentences)
        for sentences in sentence_lists(text)
        for reading in range(3)
    )


def _three_in_each(text: str) -> Verdict:
    by_line = [line for line in text.splitlines() if line.strip()]
    return agreed(
        all(len(found) >= 3 for found in by_reading)
        for parts in (paragraphs(text), by_line)
        for by_reading in zip(*map(sentence_lists, parts), strict=True)
    )


def _letters(word: str) -> int:
    return sum(map(str.isalpha, word))


def _with_m(text: str) -> Verdict:
    found = [[w.lower() for w in reading if w[0] in "mM"] for reading in word_lists(text)]
    return agreed(len(kind(each)) >= 5 for each in found for kind in (list, set))


def _palindrome(text: str) -> Verdict:
    readings = [re.findall(r"[^\W\d_]+", text), [w for w in words(text) if w.isalpha()]]
    return agreed(
        any(len(w) >= 3 and w.lower() == w[::-1].lower() for w in reading) for reading in readings
    )


def _vowels_first(text: str) -> Verdict:
    firsts = [[re.sub(r"^\W+", "", s)[:1].lower() for s in each] for each in sentence_lists(text)]
    if any(not first.isalpha() or first == "y" for each in firsts for first in each):
        return None
    return agreed(all(first in "aeiou" for first in each) for each in firsts)


def _one_case(of_text: Callable[[str], bool]) -> Check:
    return lambda text: of_text(text) if any(map(str.isalpha, text)) else None


def _two_in_capitals(text: str) -> Verdict:
    capitals = [[w for w in reading if w.isupper()] for reading in word_lists(text)]
    long = [[w for w in each if _letters(w) > 1] for each in capitals]
    return agreed(len(kind(each)) >= 2 for each in capitals + long for kind in (list, set))


def _capitalised(text: str) -> Verdict:
    by_hyphen = [part for word in words(text) for part in re.split(r"[-–/]", word) if part]
    found = [words(text), by_hyphen]
    if any(not word[0].isalpha() for reading in found for word in reading):
        return None
    return agreed(all(word[0].isupper() for word in reading) for reading in found)


REFERENCES = [
    Reference(
        "Use no more than 75 words in the whole response.",
        _words(lambda found: len(found) <= 75),
        (
            "Yes.",
            "The tide comes in twice a day.",
            prose(40),
            prose(74),
            prose(75),
            "one two three\n\nfour five six\n\nseven",
        ),
        (prose(76), prose(80), prose(120), prose(180), prose(50) + "\n\n" + prose(40)),
    ),
    Reference(
        "Make the response at least 120 words long.",
        _words(lambda found: len(found) >= 120),
        (prose(120), prose(121), prose(150), prose(180), prose(70) + "\n\n" + prose(60)),
        ("", "No.", prose(20), prose(100), prose(119), "a" * 500),
    ),
    Reference(
        "Answer in exactly four sentences.",
        _sentences(lambda found: len(found) == 4),
        (
            "It rained. We stayed inside. Nobody minded. The soup was hot.",
            "Is it late? I think so! We should go home. The last bus leaves soon.",
            "The river rose all night, and the bridge was closed by noon. People waited on both banks. A boat came at last! Everyone cheered.",
            "One fell.\nTwo stayed.\nThree left.\nFour came back.",
            "Why not? Why now? Why here? Why us?",
        ),
        (
            "It rained.",
            "It rained. We stayed inside. Nobody minded.",
            "It rained. We stayed inside. Nobody minded. The soup was hot. The bread was fresh.",
            "Is it late? I think so! We should go home.",
            "Stop! Look! Listen! Wait! Now cross the road.",
            prose(120),
        ),
    ),
    Reference(
        "Keep every sentence under 15 words.",
        _short_sentences,
        (
            "It rained.",
            "The soup was hot. The bread was fresh. Nobody wanted to leave.",
            "We walked down to the harbour and watched the boats come in slowly together.",  # 14
            "Is it late? I think so! We should go home before the last bus leaves.",
            "Cats sleep a lot.\n\nDogs like to run.\n\nBirds sing in the morning.",
            "The first one is short. The second one is short too. So is the third one. So is this one here.",
        ),
        (
            "We walked down to the harbour and watched the boats come in slowly together yesterday.",  # 15
            "We walked down to the harbour and watched the boats come in slowly together late yesterday.",
            "It rained. We stayed inside because the wind was strong and the road to the village was covered with mud and leaves.",
            "The teacher opened the window and the whole class heard the old bell in the tower ring nine times! We laughed.",
            "Can you tell me how long it takes to walk from the station to the museum when it is snowing outside? Thanks.",
        ),
    ),
    Reference(
        "Stay within 280 characters, spaces included.",
        lambda text: agreed(len(each) <= 280 for each in (text, text.strip())),
        (
            "Short.",
            "x" * 279,
            "y" * 280,
            "The tide comes in twice a day, and the harbour fills within six hours.",
            "word " * 55 + "end",
            "line\n" * 55 + "end",
        ),
        ("x" * 281, "y" * 300, prose(120), "word " * 56 + "end", "line\n" * 60 + "end"),
    ),
    Reference(
        "Give each paragraph at least three sentences.",
        _three_in_each,
        (
            "It rained. We stayed inside. Nobody minded.",
            "It rained. We stayed inside. Nobody minded. The soup was hot.",
            "It rained. We stayed inside. Nobody minded.\n\nThe sun came out. Birds sang! Did you hear them?",
            "One came. Two left. Three stayed.\n\nFour sang. Five danced. Six slept.\n\nSeven ate. Eight drank. Nine rested. Ten read.",
            "Is it late? Yes! Go home.",
        ),
        (
            "It rained.",
            "It rained. We stayed inside.",
            "It rained. We stayed inside. Nobody minded.\n\nThe sun came out.",
            "The sun came out. Birds sang.\n\nIt rained. We stayed inside. Nobody minded.",
            "One came. Two left. Three stayed.\n\nFour sang. Five danced.\n\nSeven ate. Eight drank. Nine rested.",
            "Rain fell on the roof\n\nWind blew through the trees",
        ),
    ),
    Reference(
        "Do not use any word longer than ten letters.",
        _words(lambda found: all(_letters(word) <= 10 for word in found)),
        (
            "Cats sleep.",
            "The basketball rolled under the bench.",  # ten letters
            "We read a short book about a dog that could swim.",
            "He gave us everything: bread, cheese, and a strawberry.",
            "Short words only! Are they all short? Yes, they are.",
        ),
        (
            "Congratulations!",
            "The celebration lasted all night.",  # eleven letters
            "It was an extraordinary day.",
            "The comfortable chair stood by the window.",
            "We met the photographer. He was kind.",
        ),
    ),
    Reference(
        'Mention the word "lantern" somewhere in the response.',
        _has_word("lantern", lambda count: count >= 1),
        (
            "A lantern hung above the door.",
            "She lit the lantern.",
            "Lantern light fell on the snow.",
            "Bring a rope, a knife, and a lantern!",
            "lantern",
            "It was dark.\n\nThen somebody raised a lantern, and we saw the path.",
        ),
        (
            "A lamp hung above the door.",
            "It was dark and nobody had a light.",
            "She lit the candle.",
            "",
            "The word you ask for is missing here.",
        ),
    ),
    Reference(
        'Do not use the word "very".',
        _lacks("very"),
        (
            "It was a cold day.",
            "Every child got an apple.",
            "Everyone was happy, and the food was excellent.",
            "The recovery took weeks. The delivery was late.",
            "We had a really long walk.",
        ),
        (
            "It was a very cold day.",
            "Very well.",
            "The soup was very hot, and the bread was fresh.",
            "I like it very much!",
            "This is the very place.",
            "Was it good? Very.",
        ),
    ),
    Reference(
        'Use the word "because" at least three times.',
        _has_word("because", lambda count: count >= 3),
        (
            "I left because it rained, because it was late, and because I was tired.",
            "Because it rained, we stayed. Because we stayed, we cooked. Because we cooked, we ate.",
            "because because because",
            "We won because we trained. We trained because we cared. We cared because you did. You did because you knew.",
            "He sang because he was glad.\nShe sang because he did.\nI sang because they did.",
        ),
        (
            "I left.",
            "I left because it rained.",
            "I left because it rained and because it was late.",
            "Because it rained, we stayed. Because we stayed, we cooked.",
            "It rained, so we stayed; it was late, so we slept; it was cold, so we made a fire.",
        ),
    ),
    Reference(
        'Include both "river" and "mountain" in the response.',
        lambda text: agreed(
            all(word_counts(text, word)[reading] for word in ("river", "mountain"))
            for reading in range(3)
        ),
        (
            "The river runs below the mountain.",
            "From the mountain we saw the river.",
            "A mountain and a river.",
            "We crossed the river at noon.\n\nBy night we had reached the mountain.",
            "The mountain is high. Is the river deep?",
            "River or mountain? Choose one.",
        ),
        (
            "The river runs below the hill.",
            "From the mountain we saw the lake.",
            "We saw a lake and a hill.",
            "The river was wide. The river was cold.",
            "A mountain is high.",
        ),
    ),
    Reference(
        'Use the word "however" exactly once.',
        _has_word("however", lambda count: count == 1),
        (
            "It rained. However, we went out.",
            "We were tired; however, nobody complained.",
            "The plan was good, however.",
            "He tried. He failed. He tried again, however, and won.",
            "however",
        ),
        (
            "It rained. We went out.",
            "It rained. However, we went out. However, we soon came back.",
            "However, it rained; however, we went out; however, it was fun.",
            "But it rained, and yet we went out.",
            "The plan was good, however. It was late, however.",
        ),
    ),
    Reference(
        'Avoid the words "good", "bad" and "nice" altogether.',
        _lacks("good", "bad", "nice"),
        (
            "The soup was excellent.",
            "He wore a badge.",
            "We said goodbye at the station.",
            "The weather was awful, but the food was great.",
            "My niece lives in Venice.",
        ),
        (
            "The soup was good.",
            "What a bad idea!",
            "She is nice.",
            "Good morning.",
            "The weather was bad, but the food was good and the people were nice.",
            "Nice try.",
        ),
    ),
    Reference(
        'Do not use the letter "z" anywhere.',
        lambda text: "z" not in text.lower(),
        (
            "The cat sleeps.",
            "We saw a lion at the park.",
            "Twenty birds sang in the tree.",
            "abcdefghijklmnopqrstuvwxy",
            "Summer is here! Is it warm?",
        ),
        (
            "We saw a zebra.",
            "The lazy cat sleeps.",
            "Zoe came.",
            "It was a quiz.",
            "PIZZA",
            "The cat sleeps. The dog sleeps. The bees buzz.",
        ),
    ),
    Reference(
        'Make sure the letter "e" occurs at least 30 times.',
        lambda text: agreed(each.count("e") >= 30 for each in (text, text.lower())),
        (
            "e" * 30,
            "e " * 31,
            prose(120),
            "We were here. " * 8,  # 40
            "Three green trees stood between these deep streets where we were seen; here the breeze never ceased.",
        ),
        (
            "",
            "e" * 29,
            "The cat sleeps.",
            "A dog ran along a long road. " * 10,
            "No sound. No rain. No wind.",
            "We were here. " * 5,  # 25
        ),
    ),
    Reference(
        'Use at least five words that begin with the letter "m".',
        _with_m,
        (
            "My mother makes marvellous marmalade.",
            "Many men met Monday morning.",
            "In March the merchant moved to a market in Milan with his monkey.",
            "mice, moles, moths, monkeys, mules",
            "Music matters. Most musicians know how much.",
        ),
        (
            "The cat sleeps.",
            "My mother makes bread.",
            "Many men met on a Monday.",
            "I am from Rome, I swim, I climb, I jump, I hum.",
            "Some time from now, them and him will come home.",
        ),
    ),
    Reference(
        "Include at least one word that reads the same forwards and backwards, with three letters or more.",
        _palindrome,
        (
            "The level was high.",
            "At noon we ate.",
            "A kayak lay on the shore.",
            "His civic duty was clear.",
            "Anna came home.",
            "Check the radar, please!",
        ),
        (
            "The cat sleeps.",
            "We ate lunch.",
            "A boat lay on the shore.",
            "Birds sing.",
            "I saw a dog.",
            "Was it a cat I saw?",
        ),
    ),
    Reference(
        "Begin every sentence with a vowel.",
        _vowels_first,
        (
            "Apples are red.",
            "In spring it rains. All the birds sing. Everyone is glad.",
            "Is it late? It is. Ask again later!",
            "Old houses creak. Under the roof lives an owl.",
            "after noon we left. evening came.",
        ),
        (
            "The apples are red.",
            "In spring it rains. Birds sing.",
            "Birds sing. In spring it rains.",
            "Is it late? No. Ask again later!",
            "All the birds sing. Everyone is glad. Summer is near.",
            "We left early.",
        ),
    ),
    Reference(
        'Use at least one word that contains a double "o".',
        lambda text: "oo" in text.lower(),
        (
            "The moon rose.",
            "Look at this book.",
            "A good cook needs a spoon.",
            "We went to school.",
            "Soon it was noon.",
            "He wore boots!",
        ),
        (
            "The sun rose.",
            "We went to open the gate of the hotel.",
            "One or two of those.",
            "Do only what you want to offer.",
            "The cat sleeps.",
            "Oh, no! Go on.",
        ),
    ),
    Reference(
        "Write the entire response in capital letters.",
        _one_case(str.isupper),
        (
            "THE CAT SLEEPS.",
            "YES!",
            "IT RAINED. WE STAYED INSIDE.\n\nNOBODY MINDED.",
            "WE MET AT 10 AND LEFT AT 12.",
            "ONE, TWO, THREE.",
        ),
        (
            "The cat sleeps.",
            "the cat sleeps.",
            "THE CAT sleeps.",
            "IT RAINED. WE STAYED INSIDE. Nobody minded.",
            "The Cat Sleeps.",
            "ONE, TWO, THREe.",
        ),
    ),
    Reference(
        "Write everything in lowercase.",
        _one_case(str.islower),
        (
            "the cat sleeps.",
            "yes!",
            "it rained. we stayed inside.\n\nnobody minded.",
            "we met at 10 and left at 12.",
            "one, two, three.",
        ),
        (
            "The cat sleeps.",
            "THE CAT SLEEPS.",
            "the cat met Anna.",
            "it rained. we stayed inside. Nobody minded.",
            "one, two, threE.",
        ),
    ),
    Reference(
        "Include at least two words written entirely in capitals.",
        _two_in_capitals,
        (
            "The NASA probe sent data to the ESA station.",
            "STOP and LISTEN.",
            "This is REALLY important, so READ it.",
            "THE CAT SLEEPS.",
            "We need HELP.\n\nCome NOW!",
        ),
        (
            "The cat sleeps.",
            "The NASA probe sent data home.",
            "STOP and listen.",
            "Anna Met Bob In Rome.",
            "this is really important.",
            "We need HELP.\n\nCome now!",
        ),
    ),
    Reference(
        "Capitalise the first letter of every word.",
        _capitalised,
        (
            "The Cat Sleeps.",
            "Hello World",
            "It Rained. We Stayed Inside.",
            "Apples, Pears And Plums!",
            "One Line\nAnother Line",
            "Yes",
        ),
        (
            "The cat sleeps.",
            "the cat sleeps.",
            "The Cat sleeps.",
            "It Rained. We stayed Inside.",
            "Apples, Pears and Plums!",
            "One Line\nanother Line",
            "tHE cAT sLEEPS.",
        ),
    ),
    Reference(
        "Use no more than five capital letters in total.",
        lambda text: sum(map(str.isupper, text)) <= 5,
        (
            "the cat sleeps.",
            "The cat sleeps.",
            "Anna met Bob in Rome.",
            "HELLO there.",
            "It rained. We stayed. They left. He came. She sang.",
        ),
        (
            "THE CAT SLEEPS.",
            "Anna Met Bob In Rome Today.",
            "HELLOO there.",
            "It rained. We stayed. They left. He came. She sang. You slept.",
            "NASA and ESA met.",
        ),
    ),
]
