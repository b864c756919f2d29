"""What is known of policies, the served models of the online loop: table ``policies``."""

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import polars as pl

from autoif_assets.warehouse.schema import polars_schema
from autoif_assets.warehouse.store import Warehouse
from autoif_assets.warehouse.tables import TABLES


@dataclass(frozen=True)
class Policy:
    """A served model; fields as in the table."""

    policy: str
    model: str
    base_url: str | None = None
    api_key_variable: str | None = None
    checkpoint: str | None = None
    parent: str | None = None
    created_at: datetime | None = None

    @property
    def version(self) -> str:
        """Name that changes when other weights are behind the policy; its port may change."""
        if self.checkpoint is None:
            return self.policy
        digest = hashlib.blake2b(self.checkpoint.encode(), digest_size=4).hexdigest()
        return f"{self.policy}@{digest}"


def known_policies(warehouse: Warehouse) -> list[Policy]:
    """Return the registered policies, oldest first."""
    rows = warehouse.read("policies").sort("created_at", "policy")
    return [Policy(**row) for row in rows.iter_rows(named=True)]


def find_policy(warehouse: Warehouse, name: str) -> Policy:
    """Return a registered policy.

    Raises:
        ValueError: It is not registered.
    """
    for policy in known_policies(warehouse):
        if policy.policy == name:
            return policy
    raise ValueError(
        f"Nothing is known of the policy {name!r}. Register what serves it: "
        f"autoif policy add {name} --base-url URL --model MODEL."
    )


def register_policy(warehouse: Warehouse, policy: Policy, *, retrained: bool = False) -> Policy:
    """Register a policy, or say where a known one is served now.

    Args:
        warehouse: Where the table is.
        policy: What is known of it.
        retrained: Whether a known policy may get other weights, as training it again does.

    Raises:
        ValueError: A policy of this name has another model or other weights; what it answered
            would be mixed with this one's.
    """
    name = policy.policy
    known = next((one for one in known_policies(warehouse) if one.policy == name), None)
    # Where a policy is served may change from run to run; what answers under its name may not.
    if known is not None:
        if not retrained and known.model != policy.model:
            raise ValueError(
                f"The policy {name} is the model {known.model}; its answers must not be mixed "
                f"with those of {policy.model}. Take another name."
            )
        if not retrained and policy.checkpoint not in (None, known.checkpoint):
            raise ValueError(
                f"The policy {name} has the weights {known.checkpoint}; its answers must not be "
                f"mixed with those of {policy.checkpoint}. Take another name."
            )
        policy = replace(
            policy,
            checkpoint=policy.checkpoint or known.checkpoint,
            parent=policy.parent or known.parent,
            created_at=known.created_at,
        )
    policy = replace(policy, created_at=policy.created_at or datetime.now(UTC))
    frame = pl.DataFrame([asdict(policy)], schema=polars_schema(TABLES["policies"]))
    warehouse.write("policies", frame, {"policy": name})
    return policy
