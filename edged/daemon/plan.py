"""How each model is to be served: its engines, its share of the machine, its limits."""

from __future__ import annotations

from pathlib import Path
from typing import AbstractSet, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from edged import wire
from edged.config import Settings
from edged.daemon import capacity, engines
from edged.daemon.capacity import Machine
from edged.daemon.poison import Poison
from edged.daemon.pool import Pool
from edged.daemon.supervisor import Attempt, Limits, Supervisor
from edged.daemon.zygote import Zygote
from edged.registry.install import POISON
from edged.registry.sample import Sample, read_sample
from edged.registry.spec import ModelSpec


class Plan(NamedTuple):
    """`attempts` are the engines in the order in which they are tried, each with its share."""

    spec: ModelSpec
    attempts: Tuple[Attempt, ...]
    limits: Limits
    sample: Optional[Sample]
    poison: Path

    @property
    def engine(self) -> str:
        """The one that is tried first."""
        return self.attempts[0].engine


def make_plans(
    specs: Sequence[ModelSpec], settings: Settings, machine: Machine
) -> List[Union[Plan, str]]:
    """For each model its plan, or why there is no room for it beside those before it.

    Blocks on the disk.
    """
    plans: List[Union[Plan, str]] = []
    loaded: Set[str] = set()
    left = machine.available
    for spec in specs:
        plan = _plan(spec, len(specs), settings, machine)
        need = _need(spec, plan.engine, loaded)
        # The first is tried whatever the figures say: nobody has anything to lose by it.
        if plans and need > left:
            plans.append(_no_room(left, need))
            continue
        loaded.add(plan.engine)
        left -= need
        plans.append(plan)
    return plans


def make_plan_beside(
    spec: ModelSpec, models: int, settings: Settings, machine: Machine, loaded: AbstractSet[str]
) -> Union[Plan, str]:
    """The plan of a model while others are served, or why there is no room for it.

    `models` is how many will share the `machine`, which is as it was when none was loaded;
    `loaded` are the engines of those that are. Blocks on the disk.
    """
    plan = _plan(spec, models, settings, machine)
    need, left = _need(spec, plan.engine, loaded), capacity.this_machine().available
    return _no_room(left, need) if loaded and need > left else plan


def _need(spec: ModelSpec, engine: str, loaded: AbstractSet[str]) -> int:
    need = capacity.least_need(spec, engine)
    return need + (0 if engine in loaded else engines.ENGINES[engine].fork_server)


def _no_room(left: int, need: int) -> str:
    return (
        f"{max(left, 0) >> 20} MB of memory are left by the models before it, "
        f"and it needs {need >> 20} at the least"
    )


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
        load = wire.Load(spec, options, 2 * memory, share.decode_ahead)
        attempts.append(Attempt(load, share.instances))
    return Plan(
        spec=spec,
        attempts=tuple(attempts),
        limits=Limits(settings.queue, settings.run_timeout, memory),
        sample=read_sample(Path(spec.folder)),
        # What crashes one version may be good for the next, and for the one before.
        poison=state / POISON / str(spec.mid) / Path(spec.folder).name,
    )


def open_pool(plan: Plan, zygote: Zygote) -> Pool:
    """The workers of the model; they are not started yet."""
    poison = Poison(plan.poison)
    return Pool(Supervisor(plan.spec.name, plan.attempts, plan.limits, zygote, poison, plan.sample))
