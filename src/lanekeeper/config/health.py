"""What is done about devices that are not well."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lanekeeper.config.option import Option, Section
from lanekeeper.config.value import one_of
from lanekeeper.domain.pci.health import Action, Rule, Signal

_ACTION = one_of(*Action)
_DAY_S = 86_400


class Health(Section, frozen=True):
    """What is done about a device that is not well: ``ignore`` it, ``warn`` (it is shown), or
    ``exclude`` (and it is offered to nobody new; who holds it keeps it). Of the controller.
    """

    missing: Annotated[
        str,
        Option(
            "health",
            "missing",
            "A device that was away. What is away is not offered in any case; with exclude it must "
            "have been back for clear_after_s.",
            parse=_ACTION,
        ),
    ] = Action.IGNORE
    driver: Annotated[
        str,
        Option("health", "driver", "A PF with VFs, or a device kept for one driver, has none.",
               parse=_ACTION),
    ] = Action.EXCLUDE  # fmt: skip
    link_down: Annotated[
        str,
        Option("health", "link_down", "The interface of a PF has no link; its VFs have none then.",
               parse=_ACTION),
    ] = Action.EXCLUDE  # fmt: skip
    link_degraded: Annotated[
        str,
        Option(
            "health",
            "link_degraded",
            "The PCIe link of a card is slower or narrower than it was. GPUs at rest slow down by "
            "themselves.",
            parse=_ACTION,
        ),
    ] = Action.WARN
    aer_fatal: Annotated[
        str,
        Option("health", "aer_fatal", "A fatal PCIe error (AER).", parse=_ACTION),
    ] = Action.EXCLUDE
    aer_nonfatal: Annotated[
        str,
        Option("health", "aer_nonfatal", "Too many PCIe errors that were not mended (AER).",
               parse=_ACTION),
    ] = Action.WARN  # fmt: skip
    aer_correctable: Annotated[
        str,
        Option("health", "aer_correctable", "Too many PCIe errors that were mended (AER).",
               parse=_ACTION),
    ] = Action.WARN  # fmt: skip
    raise_after_s: Annotated[
        float,
        Meta(ge=0, le=_DAY_S),
        Option(
            "health",
            "raise_after_s",
            "Seconds that a link must be down or degraded, or a driver be missing, to count.",
        ),
    ] = 30.0
    clear_after_s: Annotated[
        float,
        Meta(ge=0, le=_DAY_S),
        Option("health", "clear_after_s", "Seconds that all of it must be well not to count."),
    ] = 300.0
    errors_clear_after_s: Annotated[
        float,
        Meta(ge=0, le=30 * _DAY_S),
        Option("health", "errors_clear_after_s", "Seconds without too many errors not to count."),
    ] = 3600.0
    nonfatal_errors: Annotated[
        int,
        Meta(ge=1, le=2**31),
        Option("health", "nonfatal_errors", "Errors that were not mended that are too many."),
    ] = 5
    correctable_errors: Annotated[
        int,
        Meta(ge=1, le=2**31),
        Option("health", "correctable_errors", "Errors that were mended that are too many."),
    ] = 1000
    errors_within_s: Annotated[
        float,
        Meta(ge=1, le=30 * _DAY_S),
        Option("health", "errors_within_s", "Seconds within which they are."),
    ] = 3600.0

    def rules(self) -> dict[Signal, Rule]:
        """How each signal is judged."""
        return {signal: self._rule(signal) for signal in Signal}

    def _rule(self, signal: Signal) -> Rule:
        action = Action(getattr(self, signal))
        match signal:
            case Signal.MISSING:
                return Rule(action=action, clear_after_s=self.clear_after_s)
            case Signal.DRIVER | Signal.LINK_DOWN | Signal.LINK_DEGRADED:
                return Rule(
                    action=action,
                    raise_after_s=self.raise_after_s,
                    clear_after_s=self.clear_after_s,
                )
            case Signal.AER_FATAL:
                errors = 1
            case Signal.AER_NONFATAL:
                errors = self.nonfatal_errors
            case Signal.AER_CORRECTABLE:
                errors = self.correctable_errors
        return Rule(
            action=action,
            clear_after_s=self.errors_clear_after_s,
            errors=errors,
            within_s=self.errors_within_s,
        )
