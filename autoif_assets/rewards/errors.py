"""What is wrong with what people hand in, as sentences for them."""


class RewardDataError(ValueError):
    """Verifiers or completions cannot be used; the message says what is wrong with which."""


class ServeError(ValueError):
    """Rewards cannot be served so; the message says why."""
