"""Ready recipes for trainers, with the paper's hyper-parameters (arXiv 2406.13542, appendix)."""
