"""What the packaged seed instructions mean: a checker and clear texts for each."""

from autoif_assets_tests.recorded import seeds_details, seeds_shape, seeds_words

REFERENCES = {
    reference.instruction: reference
    for module in (seeds_words, seeds_shape, seeds_details)
    for reference in module.REFERENCES
}
