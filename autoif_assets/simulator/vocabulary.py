"""The words sentences are made of and the words instructions ask for."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ADJECTIVES = _words(
    "calm good quiet small bright old warm simple honest careful steady kind young strong plain "
    "quick fresh wise patient modern local busy vast clever gentle open"
)

NOUNS = _words(
    "people plans habits maps tools words books teams minds paths goals rooms songs signs trips "
    "farms links skills notes facts men women children folk ways ideas towns groups experts "
    "lessons stories"
)

VERBS = _words(
    "bring build keep find help show hold watch shape guide join carry need form support know "
    "study enjoy follow explain improve use mix trust"
)

ADVERBS = _words("daily slowly together again often gladly now always today abroad")

JOINERS = _words("and while as so but")

# Words of a query that say nothing about its topic.
STOP_WORDS = _words(
    "about after all also and any are because been before being between both but can could did "
    "does doing each few for from had has have having her here hers him his how into its itself "
    "just like more most not now off once only other our out over own please same she should "
    "some such than that the their them then there these they this those through too under "
    "until very was were what when where which while who whom why will with would you your give "
    "write make explain describe tell following using use list create find get want need answer "
    "response question provide generate sentence word words text one two three"
)

# Words that sentences have only where a constraint asks for them.
KEYWORDS = _words(
    "harbour lantern velvet compass orchard marble thunder pepper ribbon anchor copper meadow "
    "puzzle window garden bridge candle saddle pocket shadow mirror castle forest ladder button "
    "basket hammer violin cactus dolphin walnut pebble rocket sailor tunnel blanket glacier "
    "lemon magnet napkin"
)

NUMBER_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
