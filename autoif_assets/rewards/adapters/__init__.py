"""One module a trainer. None is imported here: each needs the library that it adapts to.

Where a trainer calls a function that it found by name, the environment says what it scores by:
`AUTOIF_REWARD_DATA` is the folder `exports/reward`, or the URL of `autoif rewards serve`;
`AUTOIF_REWARD_MODE` is `all` (the default), `mean` or `components`; `AUTOIF_REWARD_TOKEN` is the
server's token; `AUTOIF_REWARD_MODULES` are modules that verifiers may import, by commas.
"""
