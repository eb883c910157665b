"""The two networks, small enough for one core of an ARM board."""

from typing import List, Sequence, Tuple

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.base.layer_helper import LayerHelper

Tensor = paddle.Tensor
STRIDES = (8, 16, 32)


def conv_norm(
    cin: int, cout: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution and batch norm, which every engine folds into one kernel."""
    return nn.Sequential(
        nn.Conv2D(cin, cout, kernel, stride, kernel // 2, groups=groups, bias_attr=False),
        nn.BatchNorm2D(cout),
    )


def conv_unit(cin: int, cout: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(conv_norm(cin, cout, kernel, stride), nn.ReLU())


def separable(cin: int, cout: int, stride: int = 1) -> nn.Sequential:
    """3x3 depthwise, then 1x1; no ReLU between the two, where it would only lose."""
    return nn.Sequential(conv_norm(cin, cin, 3, stride, groups=cin), conv_norm(cin, cout, 1))


class Residual(nn.Layer):
    """A separable pair with its input added, then ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = separable(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


def stage(cin: int, cout: int, repeats: int) -> nn.Sequential:
    """Halves the picture once, then `repeats` residual units."""
    return nn.Sequential(
        separable(cin, cout, 2), nn.ReLU(), *[Residual(cout) for _ in range(repeats)]
    )


class Classifier(nn.Layer):
    """[N,3,224,224] to [N,classes] logits.

    Mean and maximum are pooled side by side: noise and fog fill a frame, while one sharp edge is
    enough to call a picture with a soft background clear.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_unit(3, 12, 3, 2),
            stage(12, 24, 1),
            stage(24, 48, 1),
            stage(48, 96, 2),
        )
        self.dropout = nn.Dropout(0.2)
        self.score = nn.Linear(192, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)
        pooled = paddle.concat([F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)], axis=1)
        return self.score(self.dropout(paddle.flatten(pooled, 1)))


class Head(nn.Layer):
    """One level's feature map to class logits and box offsets."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.cls_features = nn.Sequential(separable(channels, channels), nn.ReLU())
        self.box_features = nn.Sequential(separable(channels, channels), nn.ReLU())
        # Scores start near 0.05, else the many empty cells drown the first hundred steps.
        self.cls = nn.Conv2D(channels, classes, 1, bias_attr=nn.initializer.Constant(-3.0))
        self.box = nn.Conv2D(channels, 4, 1)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        return self.cls(self.cls_features(x)), self.box(self.box_features(x))


class Detector(nn.Layer):
    """Anchor-free detector over three levels with a top-down path.

    A cell at (px, py) of stride s says dx, dy, lw, lh: the box is centred on (px + s*dx, py + s*dy)
    and measures s*exp(lw) by s*exp(lh). A centre outside the cell is allowed because a thin "1"
    may contain no cell at all.
    """

    def __init__(self, classes: int, neck: int = 48) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(conv_unit(3, 12, 3, 2), conv_unit(12, 24, 3, 2))
        self.stage8 = nn.Sequential(conv_unit(24, 48, 3, 2), *[Residual(48) for _ in range(3)])
        self.stage16 = stage(48, 96, 3)
        self.stage32 = stage(96, 128, 2)
        self.lateral = nn.LayerList([conv_unit(c, neck, 1) for c in (48, 96, 128)])
        self.smooth = nn.LayerList([Residual(neck) for _ in STRIDES])
        self.heads = nn.LayerList([Head(neck, classes) for _ in STRIDES])

    def maps(self, image: Tensor) -> List[Tuple[Tensor, Tensor]]:
        """[N,3,H,W] to logits [N,classes,h,w] and offsets [N,4,h,w] for each stride."""
        c8 = self.stage8(self.stem(image))
        c16 = self.stage16(c8)
        c32 = self.stage32(c16)
        p32 = self.lateral[2](c32)
        p16 = self.lateral[1](c16) + F.interpolate(p32, scale_factor=2, mode="nearest")
        p8 = self.lateral[0](c8) + F.interpolate(p16, scale_factor=2, mode="nearest")
        return [self.heads[i](self.smooth[i](x)) for i, x in enumerate((p8, p16, p32))]

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor]:
        """[N,3,H,W] to logits [N,P,classes] and offsets [N,P,4], P cells over all strides."""
        logits, offsets = zip(*self.maps(image))
        return in_rows(logits), in_rows(offsets)


def in_rows(maps: Sequence[Tensor]) -> Tensor:
    """Maps [N,C,h,w] of all strides to one [N,P,C]."""
    rows = [paddle.transpose(x, [0, 2, 3, 1]).reshape([x.shape[0], -1, x.shape[1]]) for x in maps]
    return paddle.concat(rows, axis=1)


def peaks(scores: Tensor) -> Tensor:
    """Scores [N,C,h,w] without those that a cell or its neighbours give to another class.

    Suppression is by class, and would keep a 6 upon an 8 where two cells of one digit disagree.
    """
    best = paddle.max(scores, axis=1, keepdim=True)
    bar = paddle.maximum(best, 0.8 * F.max_pool2d(best, 3, 1, 1))
    return scores * paddle.cast(scores >= bar, "float32")


def grid(side: int) -> Tuple[Tensor, Tensor]:
    """Cell centres [P,2] (x, y) and strides [P,1] in pixels, in the detector's order."""
    centres, strides = [], []
    for stride in STRIDES:
        count = side // stride
        axis = (paddle.arange(count, dtype="float32") + 0.5) * stride
        y, x = paddle.meshgrid(axis, axis)
        centres.append(paddle.stack([x.flatten(), y.flatten()], axis=-1))
        strides.append(paddle.full([count * count, 1], stride, "float32"))
    return paddle.concat(centres), paddle.concat(strides)


def decode(offsets: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Offsets [N,P,4] to corners [N,P,4] (x1, y1, x2, y2) in pixels of the input."""
    middle = centres + offsets[:, :, 0:2] * strides
    half = paddle.exp(offsets[:, :, 2:4]) * strides * 0.5
    return paddle.concat([middle - half, middle + half], axis=-1)


def suppress(boxes: Tensor, scores: Tensor) -> Tuple[Tensor, Tensor]:
    """Boxes [N,P,4] and scores [N,C,P] to rows [M,6] and rows per picture [N] int32."""
    attrs = {
        "background_label": -1,
        "score_threshold": 0.05,
        "nms_top_k": 200,
        "nms_threshold": 0.4,
        "keep_top_k": 100,
        "nms_eta": 1.0,
        "normalized": False,
    }
    helper = LayerHelper("multiclass_nms3")
    rows = helper.create_variable_for_type_inference(dtype="float32")
    index = helper.create_variable_for_type_inference(dtype="int32")
    count = helper.create_variable_for_type_inference(dtype="int32")
    helper.append_op(
        type="multiclass_nms3",
        inputs={"BBoxes": boxes, "Scores": scores},
        attrs=attrs,
        outputs={"Out": rows, "Index": index, "NmsRoisNum": count},
    )
    return rows, count


class DeployedDetector(nn.Layer):
    """The detector as exported: picture and scale in, boxes in pixels of the original out."""

    def __init__(self, net: Detector, side: int) -> None:
        super().__init__()
        self.net = net
        centres, strides = grid(side)
        self.register_buffer("centres", centres)
        self.register_buffer("strides", strides)

    def forward(self, image: Tensor, scale_factor: Tensor) -> Tuple[Tensor, Tensor]:
        logits, offsets = zip(*self.net.maps(image))
        boxes = decode(in_rows(offsets), self.centres, self.strides)
        y, x = paddle.split(scale_factor, 2, axis=-1)
        scale = paddle.unsqueeze(paddle.concat([x, y, x, y], axis=-1), 1)
        scores = in_rows([peaks(F.sigmoid(level)) for level in logits])
        return suppress(boxes / scale, paddle.transpose(scores, [0, 2, 1]))


class DeployedClassifier(nn.Layer):
    """The classifier as exported, with softmax."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return F.softmax(self.net(image), axis=-1)
