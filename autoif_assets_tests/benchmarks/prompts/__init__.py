"""Variants of the verifier's and the judge's prompt, compared on one model."""
