"""What a run sees to before it asks a model: endpoints, each once a run, whoever needs it."""

from collections import OrderedDict
from collections.abc import Mapping

from autoif_assets.endpoint import EndpointSettings, Features, NotUsable
from autoif_assets.endpoint.checks import CHECKED, first_problem
from autoif_assets.endpoint.settings import public

_RUNS = 64  # that are remembered


class _Known:
    """What a run knows of endpoints: what they can do, and which were checked."""

    def __init__(self) -> None:
        self.features: dict[str, Features] = {}
        self.checked: set[str] = set()


_known: OrderedDict[str, _Known] = OrderedDict()


def features_of(run_id: str, settings: EndpointSettings) -> Features:
    """Return what a run knows of an endpoint: it is learnt once, whichever asset asks."""
    return _of_run(run_id).features.setdefault(_identity(settings), Features())


def check_endpoints(
    run_id: str,
    needed: Mapping[str, EndpointSettings],
    *,
    asked: EndpointSettings,
    briefly: bool = False,
) -> None:
    """See that endpoints can be used; nothing is asked twice in a run.

    Args:
        run_id: The run, which may be to come.
        needed: Whom and how to ask, by role.
        asked: The endpoint that is asked first, which the first call checks.
        briefly: Whether this one is looked at, too, as far as that costs nothing.

    Raises:
        NotUsable: One of them cannot be used.
    """
    checked = _of_run(run_id).checked
    roles = {"supervision": asked, **needed} if briefly else dict(needed)
    first = _identity(asked)
    for role, settings in roles.items():
        identity = _identity(settings)
        if identity in checked or (identity == first and not briefly):
            continue
        features = features_of(run_id, settings)
        if problem := first_problem(settings, features, briefly=identity == first):
            variable = "AUTOIF" if role == "supervision" else f"AUTOIF_{role.upper()}"
            problem = problem.replace("AUTOIF_BASE_URL", f"{variable}_BASE_URL")
            raise NotUsable(
                f"The endpoint of the {role}, {settings.model or 'no model'} at "
                f"{public(settings.base_url)}, is not usable: {problem} Nothing was asked of "
                "any model yet. `autoif doctor` checks all endpoints."
            )
        checked.add(identity)


def _of_run(run_id: str) -> _Known:
    known = _known.setdefault(run_id, _Known())
    if len(_known) > _RUNS:
        _known.popitem(last=False)
    return known


def _identity(settings: EndpointSettings) -> str:
    return settings.model_dump_json(include=CHECKED)
