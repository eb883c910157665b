"""How each model is to be served: its engines, its share of the machine, its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, List, NamedTuple, Optional

from edged import wire
from edged.config import Settings
from edged.daemon import capacity, engines
from edged.daemon.poison import Poison
from edged.daemon.pool import Limits, Pool
from edged.daemon.zygote import Zygote
from edged.registry.sample import Sample, read_sample
from edged.registry.spec import ModelSpec


class Plan(NamedTuple):
    load: wire.Load
    limits: Limits
    sample: Optional[Sample]
    poison: Path


def make_plan(spec: ModelSpec, models: int, settings: Settings) -> Plan:
    """For one of `models` models. Blocks on the disk."""
    state = Path(settings.state)
    candidates = engines.candidates(spec.engine or settings.engine)
    share = capacity.share_of(spec, candidates[0], models, capacity.this_machine())
    memory = settings.memory_mib << 20
    options = wire.EngineOptions(
        engines=candidates,
        cache=str(state / "converted"),
        threads=share.threads,
        power_mode=settings.power_mode,
    )
    return Plan(
        load=wire.Load(spec, options, memory_limit=2 * memory),
        limits=Limits(share.instances, settings.queue, settings.run_timeout, memory),
        sample=read_sample(Path(spec.folder)),
        poison=state / "poison" / str(spec.mid),
    )


def engines_in_use(plans: Iterable[Plan]) -> List[str]:
    """Those that the fork server imports: the others cost memory for nothing."""
    return sorted({plan.load.options.engines[0] for plan in plans})


def open_pool(plan: Plan, zygote: Zygote) -> Pool:
    """The workers of the model; they are not started yet."""
    load, limits, sample, poison = plan
    return Pool(load.spec.name, load, limits, zygote, Poison(poison), sample)
