"""Ready recipes for trainers: the paper's numbers (arXiv 2406.13542), and OLMo 3's for GRPO."""
