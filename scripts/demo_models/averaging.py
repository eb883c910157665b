"""A moving average of a network's weights, which measures better than the last step's."""

from typing import Dict

import paddle
from paddle import nn


class Average:
    """Follows every weight and running statistic of a network."""

    def __init__(self, net: nn.Layer, momentum: float = 0.998) -> None:
        self._momentum = momentum
        self._steps = 0
        self._state: Dict[str, paddle.Tensor] = {
            k: v.clone().detach() for k, v in net.state_dict().items()
        }

    @paddle.no_grad()
    def update(self, net: nn.Layer) -> None:
        self._steps += 1
        keep = min(self._momentum, self._steps / (self._steps + 10))
        for name, value in net.state_dict().items():
            self._state[name] = self._state[name] * keep + value.detach() * (1 - keep)

    def state(self) -> Dict[str, paddle.Tensor]:
        return self._state

    def copy_to(self, net: nn.Layer) -> None:
        net.set_state_dict(self._state)
