"""How each model is to be served: its engines, its share of the machine, its limits."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

from edged import wire
from edged.config import Settings
from edged.daemon import capacity, engines
from edged.daemon.capacity import Machine
from edged.daemon.poison import Poison
from edged.daemon.pool import Attempt, Limits, Pool
from edged.daemon.zygote import Zygote
from edged.registry.sample import Sample, read_sample
from edged.registry.spec import ModelSpec


class Plan(NamedTuple):
    """`attempts` are the engines in the order in which they are tried, each with its share."""

    name: str
    attempts: Tuple[Attempt, ...]
    limits: Limits
    sample: Optional[Sample]
    poison: Path


def make_plans(
    specs: Sequence[ModelSpec], settings: Settings, machine: Machine
) -> List[Union[Plan, str]]:
    """For each model its plan, or why there is no room for it beside those before it.

    Blocks on the disk.
    """
    plans: List[Union[Plan, str]] = []
    loaded = set()
    left = machine.available
    for spec in specs:
        plan = _plan(spec, len(specs), settings, machine)
        engine = plan.attempts[0].engine
        need = capacity.least_need(spec, engine)
        if engine not in loaded:
            need += engines.ENGINES[engine].fork_server
        # The first is tried whatever the figures say: nobody has anything to lose by it.
        if plans and need > left:
            plans.append(
                f"{max(left, 0) >> 20} MB of memory are left by the models before it, "
                f"and it needs {need >> 20} at the least"
            )
            continue
        loaded.add(engine)
        left -= need
        plans.append(plan)
    return plans


def _plan(spec: ModelSpec, models: int, settings: Settings, machine: Machine) -> Plan:
    state, memory = Path(settings.state), settings.memory_mib << 20
    attempts = []
    for engine in engines.candidates(spec.engine or settings.engine, spec):
        share = capacity.share_of(spec, engine, models, machine)
        options = wire.EngineOptions(
            engine=engine,
            cache=str(state / "converted"),
            threads=share.threads,
            power_mode=settings.power_mode,
        )
        attempts.append(Attempt(wire.Load(spec, options, memory_limit=2 * memory), share.instances))
    return Plan(
        name=spec.name,
        attempts=tuple(attempts),
        limits=Limits(settings.queue, settings.run_timeout, memory),
        sample=read_sample(Path(spec.folder)),
        poison=state / "poison" / str(spec.mid),
    )


def open_pool(plan: Plan, zygote: Zygote) -> Pool:
    """The workers of the model; they are not started yet."""
    poison = Poison(plan.poison)
    return Pool(plan.name, plan.attempts, plan.limits, zygote, poison, plan.sample)
