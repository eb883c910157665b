"""Settings: one frozen tree from defaults, file, environment and flags, in that order.

Each setting is declared once, in `Settings`; the command line, `EDGED_*`, the
documentation and its test read name, default, limits and help from there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Literal, Mapping, Optional, Tuple

import msgspec
import yaml
from msgspec import Meta
from typing_extensions import Annotated, get_args, get_origin

from edged.datasets.types import Quota
from edged.errors import ConfigError
from edged.listen import Addresses, parse_addresses
from edged.registry.spec import EngineChoice

ENVIRONMENT_PREFIX = "EDGED_"
FILE_VARIABLE = "EDGED_CONFIG"
"""Names the file, where no flag does; not itself a setting."""

# As browsers send them: lower case, and a port only if it is not the usual one.
_HOST = r"([a-z0-9.-]+|\[[0-9a-f:]+\])"
_ORIGIN = rf"(http://{_HOST}(:(?!80( |$))[0-9]+)?|https://{_HOST}(:(?!443( |$))[0-9]+)?)"
_ORIGINS = rf"^ *((\*|{_ORIGIN})( +|$))*$"


def _default_state() -> str:
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "edged")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    listen: Annotated[
        Addresses,
        Meta(
            description="Addresses to listen on, with spaces between: HOST:PORT, [IPV6]:PORT or "
            "unix:/PATH. 0.0.0.0 is every IPv4 address of the machine, port 0 a free one."
        ),
    ] = parse_addresses("127.0.0.1:9876")
    auth: Annotated[
        Literal["required", "off", "unset"],
        Meta(
            description="Whether the EdgeBoard and EasyDL-local routes want a token. Unset is "
            "off, and only if no other machine reaches an address of `listen`."
        ),
    ] = "unset"
    model_changes: Annotated[
        Literal["key", "open"],
        Meta(
            description="Who may change models over HTTP: whoever has a token of a key that was "
            "made with --manage, or whoever reaches the daemon, as EdgeBoard's own platform does."
        ),
    ] = "key"
    cors_origins: Annotated[
        str,
        Meta(
            pattern=_ORIGINS,
            description="Origins, with spaces between, whose pages may call from a browser, "
            "as https://shop.example; * is any.",
        ),
    ] = ""
    models: Annotated[
        str, Meta(min_length=1, description="Folder of the models, a folder or a zip for each.")
    ] = "models"
    state: Annotated[
        str,
        Meta(
            min_length=1,
            description="Folder for what must last: API keys, datasets, the versions of models "
            "that are served, converted models, mids, poison pictures.",
        ),
    ] = msgspec.field(default_factory=_default_state)
    deadline: Annotated[
        float,
        Meta(gt=0, le=3600, description="Seconds from a request's arrival to its answer."),
    ] = 10.0
    run_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Seconds one run of a model may take, its picture decoded; then its "
            "process is killed.",
        ),
    ] = 10.0
    queue: Annotated[
        int,
        Meta(
            ge=1,
            le=10000,
            description="Requests that may wait for one model. When three quarters do, those "
            "that have yet to send their picture are refused.",
        ),
    ] = 32
    max_body_mib: Annotated[
        float, Meta(gt=0, le=1024, description="Largest body of a request, in MiB.")
    ] = 16.0
    max_bodies_mib: Annotated[
        float,
        Meta(gt=0, le=65536, description="All bodies that are held at one time, in MiB."),
    ] = 256.0
    max_megapixels: Annotated[
        float, Meta(gt=0, le=1000, description="Largest picture, in millions of pixels.")
    ] = 40.0
    max_side: Annotated[
        int, Meta(ge=1, le=65535, description="Longest side of a picture, in pixels.")
    ] = 16384
    max_mids: Annotated[
        int, Meta(ge=1, le=1000, description="Models that one multipart request may name.")
    ] = 16
    top: Annotated[
        int, Meta(ge=1, le=100000, description="Classes that a classifier answers, best first.")
    ] = 5
    memory_mib: Annotated[
        int,
        Meta(
            ge=64,
            le=1 << 20,
            description="Memory of a model's process, in MiB: past it the process is replaced "
            "between two requests, past twice that the request fails.",
        ),
    ] = 1024
    engine: Annotated[
        EngineChoice,
        Meta(
            description="Engine of models that do not name one; auto is Paddle Lite where it is "
            "installed and can run the model, else Paddle Inference."
        ),
    ] = "auto"
    power_mode: Annotated[
        Literal["high", "low", "full", "no_bind", "rand_high", "rand_low"],
        Meta(description="Cores that Paddle Lite on ARM binds to; high is the big ones."),
    ] = "high"
    datasets_entities: Annotated[
        int, Meta(ge=0, le=10_000_000, description="Entities that all datasets may have.")
    ] = 200_000
    datasets_mib: Annotated[
        int,
        Meta(ge=0, le=1 << 30, description="Content that all datasets may have, in MiB."),
    ] = 8192
    datasets_reserve_mib: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 30,
            description="Disk that datasets leave free, in MiB; with less nothing is added.",
        ),
    ] = 512
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="How much is logged.")
    ] = "info"
    log_format: Annotated[Literal["text", "json"], Meta(description="Form of the log's lines.")] = (
        "text"
    )
    log_rate: Annotated[
        int,
        Meta(
            ge=0,
            le=100000,
            description="Requests of a second that have a line in the log, of the answered and "
            "of the failed; one more line counts the rest.",
        ),
    ] = 50

    @property
    def max_body(self) -> int:
        """`max_body_mib` in bytes."""
        return int(self.max_body_mib * (1 << 20))

    @property
    def max_bodies(self) -> int:
        """`max_bodies_mib` in bytes."""
        return int(self.max_bodies_mib * (1 << 20))

    @property
    def datasets_quota(self) -> Quota:
        """The `datasets_` settings, in bytes."""
        return Quota(
            self.datasets_entities, self.datasets_mib << 20, self.datasets_reserve_mib << 20
        )

    @property
    def wants_token(self) -> bool:
        """What `auth` comes to. Raises ConfigError where it must be said and is not."""
        reached = [str(address) for address in self.listen if not address.is_local]
        if self.auth == "unset" and reached:
            raise ConfigError(
                f"listen: other machines reach {', '.join(reached)}: say `auth: required` (cameras "
                "and apps must send a token) or `auth: off` (whoever reaches it may use it)"
            )
        return self.auth == "required"


FIELDS = {field.name: field for field in msgspec.structs.fields(Settings)}


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads `auth: off` as false. There is no setting that is true or false."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name is PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def describe(name: str) -> str:
    """The help text of a setting, with the values it may have where they are a list."""
    (meta,) = (extra for extra in FIELDS[name].type.__metadata__ if isinstance(extra, Meta))
    among = choices(name)
    return f"{meta.description} One of {', '.join(among)}." if among else meta.description or ""


def choices(name: str) -> Tuple[str, ...]:
    """The values that a setting may have; empty where they are not a list."""
    kind, *_ = get_args(FIELDS[name].type)
    origin: Any = get_origin(kind)
    return get_args(kind) if origin is Literal else ()


def default(name: str) -> Any:
    """The value of a setting that nobody sets."""
    field = FIELDS[name]
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def load_settings(
    file: Optional[str], environment: Mapping[str, str], flags: Mapping[str, Any]
) -> Settings:
    """Raises ConfigError naming the source, the setting and what is wrong with it."""
    values: Dict[str, Any] = {}
    if file is not None:
        values.update(_checked(_read(file), file, strict=True))
    from_environment = {
        name[len(ENVIRONMENT_PREFIX) :].lower(): value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and name != FILE_VARIABLE
    }
    values.update(_checked(from_environment, "the environment (EDGED_*)", strict=False))
    values.update(_checked(flags, "the command line", strict=False))
    return Settings(**values)


def _read(file: str) -> Mapping[str, Any]:
    try:
        content = yaml.load(Path(file).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: settings are `name: value` lines")
    return content


def _addresses(kind: type, value: object) -> Addresses:
    """Of `kind`, the one type here that msgspec does not know. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text, such as '0.0.0.0:9876 [::1]:8099'")
    return parse_addresses(value)


def _checked(values: Mapping[str, Any], source: str, strict: bool) -> Mapping[str, Any]:
    """`strict`: types as they stand; else numbers may come as text."""
    checked = {}
    for name, value in values.items():
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise ConfigError(f"{source}: there is no setting {name!r}; there are: {known}")
        try:
            kind = FIELDS[name].type
            checked[name] = msgspec.convert(value, kind, strict=strict, dec_hook=_addresses)
        except msgspec.ValidationError as error:
            among = ", ".join(choices(name))
            reason = f"{value!r} is none of {among}" if among else str(error)
            raise ConfigError(f"{source}: {name}: {reason}") from None
    return checked
